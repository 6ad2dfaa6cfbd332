"""What tests of training share."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from tessera.data import procedural


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar archive of six made pictures."""
    pytest.importorskip("webdataset")
    path = tmp_path_factory.mktemp("pack") / "images.tar"
    with tarfile.open(path, "w") as tar:
        for i in range(6):
            blob = io.BytesIO()
            Image.fromarray(procedural.picture(96 + 8 * i, 128, seed=i)).save(blob, "PNG")
            info = tarfile.TarInfo(f"{i:04d}_made.png")
            info.size = blob.tell()
            blob.seek(0)
            tar.addfile(info, blob)
    return path
