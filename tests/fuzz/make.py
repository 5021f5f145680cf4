"""Makes the data sets that tests/fuzz.rs damages: python tests/fuzz/make.py (numpy, pillow, pyarrow).

Other programs than this one write them, so that what is read is what users have.
"""

import gzip
import io
import pathlib
import struct
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

here = pathlib.Path(__file__).parent
random = np.random.default_rng(0)
images = random.integers(0, 256, (4, 8, 6, 3), dtype=np.uint8)


def encoded(index, kind):
    file = io.BytesIO()
    Image.fromarray(images[index]).save(file, kind)
    return file.getvalue()


files = [(f"cat/{index:06}.{kind.lower()}", encoded(index, kind)) for index, kind in enumerate(["PNG", "JPEG", "WEBP", "BMP"])]

# A class before its picture, and one behind.
members = [("cat/000000.cls", b"cat\n"), *files, ("cat/000003.cls", b"dog\n"), ("long/" * 30 + "name.png", files[0][1])]
tar = io.BytesIO()
with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as archive:
    for name, content in members:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
(here / "pictures.tar").write_bytes(tar.getvalue())
(here / "pictures.tar.gz").write_bytes(gzip.compress(tar.getvalue(), mtime=0))

with zipfile.ZipFile(here / "pictures.zip", "w") as archive:
    for index, (name, content) in enumerate(files):
        kind = zipfile.ZIP_DEFLATED if index % 2 else zipfile.ZIP_STORED
        archive.writestr(zipfile.ZipInfo(name), content, compress_type=kind)

(here / "images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 4, 8, 6) + images[..., 0].tobytes())
np.save(here / "images.npy", images)
np.savez_compressed(here / "images.npz", x=images, y=np.arange(4))

table = pa.table({
    "image": [{"bytes": content, "path": name} for name, content in files],
    "label": pa.array([0, 0, 1, None]),
})
pq.write_table(table, here / "pictures.parquet", compression="snappy", row_group_size=3)

table = pa.table({"jpg": [content for _, content in files], "class": ["cat", None, "dog", "cat"]})
pq.write_table(table, here / "texts.parquet", compression="gzip", row_group_size=3)

(here / "labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 4) + bytes([0, 0, 1, 255]))
lines = "".join(f"{name}\t{label}\r\n" for (name, _), label in zip(files, ["cat", "red dog", "cat", "größer"]))
np.save(here / "labels.npy", np.array(["cat", "dog", "cat", "owl"]))
(here / "labels.tsv").write_bytes(lines.encode())
(here / "labels.txt").write_bytes(lines.encode("utf-16"))
(here / "labels.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
