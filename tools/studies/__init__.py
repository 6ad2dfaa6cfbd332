"""The studies of `tessera evaluate`, a room each.

Every room has the same parts, and can be used from Python as well as from the command line:

    settings   a frozen dataclass of what is asked; it checks its fields and imports nothing heavy
    rows       what one measurement gives, means over rows, and the figures of the report
    measure    measures, and keeps each row in the report's folder as soon as it is there
    study      evaluate(settings, paths, out, run): the whole study; print_tables(result)
    page       tables, plots and the HTML page

    from tessera.tools.studies.machine import settings, study
    result = study.evaluate(settings.MachineSettings(codecs=("wavelet", "jpeg")), [Path("set.tar")], Path("report"))
"""
