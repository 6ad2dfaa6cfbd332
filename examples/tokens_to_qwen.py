"""Give the tokens of a file to a language model of the Qwen2-VL type.

The model here is tiny and has random weights, so its answer means nothing; the calls are those of a real one.  This
needs transformers: pip install '.[vlm]'

python examples/tokens_to_qwen.py clip.tsr --budget 16
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
import transformers

import tessera
from tessera.models.tokens.modules.projector import Projector

VIDEO, START, END = 60, 61, 62  # ids of the placeholder for the video, and of what stands around it
WIDTH = 32  # of the model


def tiny_model() -> Any:
    """A Qwen2-VL model of a few thousand parameters, random weights."""
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "type": "default", "rope_theta": 10000.0}
    text = {
        "vocab_size": 64, "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512,
        "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "rope_scaling": rope, "rope_parameters": rope,
    }  # fmt: skip
    vision = {
        "depth": 1, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2, "embed_dim": WIDTH,
        "hidden_size": WIDTH, "mlp_ratio": 2,
    }  # fmt: skip
    config = transformers.Qwen2VLConfig(
        text_config=text, vision_config=vision, video_token_id=VIDEO, image_token_id=59,
        vision_start_token_id=START, vision_end_token_id=END,
    )  # fmt: skip
    return transformers.Qwen2VLForConditionalGeneration(config).eval()


def tokenizer(text: str) -> list[int]:
    """Ids of a prompt: letters behind the placeholder of the clip.  A real model brings its own tokenizer."""
    return [START, VIDEO, END, *(3 + ord(letter) % 50 for letter in text.removeprefix("<|video_pad|>"))]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="a .tsr file")
    parser.add_argument("--budget", type=int, default=16, help="tokens for the whole clip")
    args = parser.parse_args(argv)

    torch.manual_seed(0)
    model = tiny_model()
    with tessera.open(args.clip) as clip:
        channels = clip.latents(0, 1).x.shape[3]
    projector = Projector(channels, WIDTH)  # latents to the width of the model; train it with the model
    processor = tessera.TokenProcessor(tokenizer, model, reduce="bits", budget=args.budget)
    batch = processor("<|video_pad|>What moves?", videos=args.clip)
    inputs = processor.embed(batch, model, projector)
    answer = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    print(f"{len(batch['vision'])} tokens of the clip, a prompt of {batch['input_ids'].shape[1]} positions in all")
    print(f"ids of the answer: {answer[0].tolist()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
