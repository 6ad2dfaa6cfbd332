"""A video as a network: one decoder whose configurations are NeRV, HNeRV, HNeRV-Boost, NeRV++ and groups by residuals.

    config      what a decoder is built from: architecture, strides, widths; bounds and parameter counts
    depthwise   convolution of each channel by itself, with a quick gradient
    blocks      upsampling block, its residual and separable forms, conditioned or not
    embedding   codes of time, the content encoder that is thrown away after fitting
    decoder     embeddings and times -> pixels
    quantise    weights and embeddings as integers, their rate while fitting
    wire        header numbers and integers <-> symbols of the port
    fitting     the loop, its schedule and its rate control
    segments    one network after the other within a group, the later ones as residuals
    family      frames <-> symbols
    ladder      the tables of models/weights/nerv.safetensors
"""
