"""Archives for the tests: whole ones, and every kind that must be refused."""

import gzip
import io
import stat
import tarfile
import zipfile

import numpy as np
from PIL import Image


def draw_picture(seed=0, *, side=24):
    """A small PNG of noise, another one for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4, 3), np.uint8)
    image = Image.fromarray(pixels).resize((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def name_pictures(count=6):
    """Path -> content of as many pictures in two class folders."""
    return {
        f"{'happy' if number % 2 else 'sad'}/{number:04d}.png": draw_picture(number)
        for number in range(count)
    }


def write_folder(folder, contents):
    for name, data in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_zip(path, contents, *, mode=None, method=zipfile.ZIP_STORED):
    """Write a zip; `mode` sets the file type of every entry."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in contents.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)
    return path


def write_tar(path, contents, *, kind=tarfile.REGTYPE, compress=True):
    """Write a tar; `kind` sets the type of every entry."""
    options = {"compresslevel": 1} if compress else {}
    with tarfile.open(path, "w:gz" if compress else "w", **options) as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(data)
            else:
                info.linkname = "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return path


def write_archive(path, contents):
    return write_zip(path, contents) if path.suffix == ".zip" else write_tar(path, contents)


def change_byte(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)
    return path


def write_many_entries(path, count):
    """Write a zip whose list has very many entries, quickly: the same 46 bytes again and again."""
    entry = b"PK\x01\x02" + bytes(24) + (1).to_bytes(2, "little") + bytes(16) + b"a"
    size = len(entry) * count
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff\xff\xff" + size.to_bytes(4, "little") + bytes(6)
    path.write_bytes(b"PK\x03\x04" + bytes(30) + entry * count + end)
    return path


def write_many_tar_entries(path, count):
    """Write a compressed tar of very many empty files, quickly."""
    header = tarfile.TarInfo("sad/a.png").tobuf(tarfile.USTAR_FORMAT)
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(count // 1000):
            file.write(header * 1000)
        file.write(bytes(1024))
    return path
