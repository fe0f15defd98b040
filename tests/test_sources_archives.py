"""Unpacking: what is whole comes out whole, what is not leaves nothing behind."""

import random
import stat
import tarfile
import zipfile

import pytest

from emoclf.data.sources import ArchiveLimits, ArchiveRefusedError, extract_archive
from emoclf.data.sources.archives import read_safe_path
from tests.archives import (
    change_byte,
    draw_picture,
    name_pictures,
    write_archive,
    write_folder,
    write_many_entries,
    write_many_tar_entries,
    write_tar,
    write_zip,
)

SUFFIXES = (".zip", ".tar.gz")


def read_tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_refused(archive, tmp_path, match, **options):
    """Nothing may stay: no target, no temporary folder, no file outside."""
    before = sorted(tmp_path.rglob("*"))
    content = archive.read_bytes()
    with pytest.raises(ArchiveRefusedError, match=match) as caught:
        extract_archive(archive, tmp_path / "out" / "data", progress=False, **options)
    assert str(archive) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    assert archive.read_bytes() == content


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pictures_come_out_byte_for_byte(tmp_path, suffix):
    contents = name_pictures()
    archive = write_archive(tmp_path / f"photos{suffix}", contents)
    copied = extract_archive(archive, tmp_path / "data", progress=False)
    assert read_tree(tmp_path / "data") == contents
    assert copied.files == len(contents)
    assert copied.bytes == sum(map(len, contents.values()))
    assert copied.left_out == ()


def test_an_uncompressed_tar_and_a_compressed_zip_are_read_too(tmp_path):
    contents = name_pictures()
    for archive in (
        write_tar(tmp_path / "photos.tar", contents, compress=False),
        write_zip(tmp_path / "small.zip", contents, method=zipfile.ZIP_DEFLATED),
    ):
        extract_archive(archive, tmp_path / archive.stem, progress=False)
        assert read_tree(tmp_path / archive.stem) == contents


@pytest.mark.parametrize("root", ["", "."])
def test_an_archive_may_name_its_own_folder(tmp_path, root):
    """`tar -C photos .` does."""
    write_folder(tmp_path / "photos", name_pictures())
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "photos", root)
    extract_archive(tmp_path / "a.tar.gz", tmp_path / "data", progress=False)
    assert read_tree(tmp_path / "data") == name_pictures()
    assert_refused(write_tar(tmp_path / "b.tar.gz", {"./": b"GIF89a"}), tmp_path, "be called")


def test_the_name_of_an_archive_does_not_matter(tmp_path):
    archive = write_tar(tmp_path / "photos.zip", name_pictures())
    assert extract_archive(archive, tmp_path / "data", progress=False).files == 6


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_pictures_come_out_and_the_rest_is_named(tmp_path, suffix):
    contents = {
        **name_pictures(2),
        "sad/no_extension": draw_picture(7),
        "sad/page.jpg": b"<html>the cleaning step says what this is</html>",
        "run_me.py": b"print('hello')",
        "sad/drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "__MACOSX/sad/._0000.png": draw_picture(1),
        ".DS_Store": b"\0\0",
    }
    archive = write_archive(tmp_path / f"photos{suffix}", contents)
    copied = extract_archive(archive, tmp_path / "data", progress=False)
    assert set(read_tree(tmp_path / "data")) == {
        "sad/0000.png",
        "happy/0001.png",
        "sad/no_extension",
        "sad/page.jpg",
    }
    reasons = dict(copied.left_out)
    assert reasons["run_me.py"] == "no picture"
    assert "SVG" in reasons["sad/drawing.svg"]
    assert reasons["__MACOSX/sad/._0000.png"] == "hidden"


def test_other_extensions_are_taken_when_asked_for(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"fer2013.csv": b"emotion,pixels,Usage\n"})
    assert_refused(archive, tmp_path, "none of its 1 entries is a picture")
    extract_archive(archive, tmp_path / "data", also=(".csv",), progress=False)
    assert (tmp_path / "data" / "fer2013.csv").is_file()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "name",
    [
        "../outside.png",
        "sad/../../outside.png",
        "/etc/outside.png",
        r"..\outside.png",
        r"C:\outside.png",
        "C:outside.png",
    ],
)
def test_paths_that_lead_outside_are_refused(tmp_path, suffix, name):
    contents = {**name_pictures(), name: draw_picture()}
    archive = write_archive(tmp_path / f"photos{suffix}", contents)
    assert_refused(archive, tmp_path, "leads outside")


@pytest.mark.parametrize("name", ["sad/a\nb.png", "a/" * 30 + "b.png", "x" * 300 + ".png"])
def test_names_that_no_file_should_have_are_refused(tmp_path, name):
    assert_refused(write_tar(tmp_path / "a.tar.gz", {name: draw_picture()}), tmp_path, "be called")


@pytest.mark.parametrize(
    "name", ["sad/Foto 1, Ä.png", "sad/At\u202f5.png", "./sad/1.png", r"sad\1.png"]
)
def test_names_that_people_give_are_kept(name):
    assert read_safe_path(name).parts[0] == "sad"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    archive = write_tar(tmp_path / "a.tar.gz", {"sad/a.png": b""}, kind=kind)
    assert_refused(archive, tmp_path, "link or a device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    archive = write_zip(tmp_path / "a.zip", {"sad/a.png": b"/etc/passwd"}, mode=kind | 0o777)
    assert_refused(archive, tmp_path, "link or a device")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_that_was_cut_off_is_refused(tmp_path, suffix):
    archive = write_archive(tmp_path / f"photos{suffix}", name_pictures(40))
    data = archive.read_bytes()
    for keep in (len(data) // 3, len(data) - 9):
        archive.write_bytes(data[:keep])
        assert_refused(archive, tmp_path, "damaged|cut off|missing")


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tar"])
def test_no_changed_byte_brings_out_another_picture(tmp_path, suffix):
    """Wherever a byte flips: refused, or what comes out is what went in (a time stamp flipped)."""
    contents = name_pictures(8)
    choose = random.Random(5)
    for number in range(40):
        archive = tmp_path / f"{number}{suffix}"
        if suffix == ".tar":
            write_tar(archive, contents, compress=False)
        else:
            write_archive(archive, contents)
        change_byte(archive, choose.randrange(archive.stat().st_size))
        target = tmp_path / str(number)
        try:
            copied = extract_archive(archive, target, progress=False)
        except ArchiveRefusedError:
            assert not target.exists()
            continue
        if suffix != ".tar":  # an uncompressed tar has no checksum of the content
            assert set(read_tree(target).values()) <= set(contents.values())
        assert copied.files <= len(contents)
    assert not list(tmp_path.glob(".*"))


def test_a_tar_with_a_damaged_header_in_the_middle_is_refused(tmp_path):
    """tarfile takes such a header for the end and would silently unpack half."""
    archive = write_tar(tmp_path / "a.tar", name_pictures(8), compress=False)
    assert_refused(change_byte(archive, 4 * 1024 + 20), tmp_path, "end of the archive")


def test_a_bomb_is_refused_before_it_goes_off(tmp_path):
    bomb = write_zip(
        tmp_path / "a.zip", {"sad/a.bmp": b"BM" + bytes(80 << 20)}, method=zipfile.ZIP_DEFLATED
    )
    assert bomb.stat().st_size < 1 << 20
    assert_refused(bomb, tmp_path, "times as large")
    bomb = write_tar(tmp_path / "a.tar.gz", {"sad/a.bmp": b"BM" + bytes(80 << 20)})
    assert_refused(bomb, tmp_path, "times as large")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_limits_hold(tmp_path, suffix):
    archive = write_archive(tmp_path / f"photos{suffix}", name_pictures(10))
    for limits, match in (
        (ArchiveLimits(entries=9), "more than 9 entries"),
        (ArchiveLimits(bytes=500), "more than 500 bytes"),
        (ArchiveLimits(file_bytes=50), "more than 50"),
    ):
        assert_refused(archive, tmp_path, match, limits=limits)


def test_a_million_entries_are_refused_at_once(tmp_path):
    assert_refused(write_many_entries(tmp_path / "a.zip", 1_000_000), tmp_path, "200,000 entries")


def test_many_entries_of_a_tar_are_refused(tmp_path):
    archive = write_many_tar_entries(tmp_path / "a.tar.gz", 5_000)
    limits = ArchiveLimits(entries=4_000)
    assert_refused(archive, tmp_path, "more than 4,000 entries", limits=limits)


def test_a_header_that_asks_for_much_memory_is_refused(tmp_path):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    data = info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)
    archive = tmp_path / "a.tar"
    archive.write_bytes(data)
    assert_refused(archive, tmp_path, "a header asks for")


def test_an_encrypted_zip_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"sad/a.png": draw_picture()})
    data = bytearray(archive.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    assert_refused(archive, tmp_path, "encrypted")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_in_it_twice_is_refused(tmp_path, suffix):
    contents = {"sad/a.png": draw_picture(1), "./sad/a.png": draw_picture(2)}
    archive = write_archive(tmp_path / f"photos{suffix}", contents)
    assert_refused(archive, tmp_path, "twice")
    contents = {"sad": draw_picture(1), "sad/a.png": draw_picture(2)}
    assert_refused(write_archive(archive, contents), tmp_path, "twice")


def test_other_files_are_no_archives(tmp_path):
    archive = tmp_path / "photos.zip"
    for content in (b"", b"Rar!\x1a\x07", b"<html>sign in to Drive</html>", b"PK\x03\x04 no more"):
        archive.write_bytes(content)
        assert_refused(archive, tmp_path, r"none of \.zip|cut off")
    with pytest.raises(FileNotFoundError, match="no such file"):
        extract_archive(tmp_path / "nowhere.zip", tmp_path / "data")


def test_nothing_is_overwritten(tmp_path):
    archive = write_zip(tmp_path / "a.zip", name_pictures())
    (tmp_path / "data").mkdir()
    extract_archive(archive, tmp_path / "data", progress=False)
    with pytest.raises(FileExistsError, match="never overwritten"):
        extract_archive(archive, tmp_path / "data", progress=False)
    assert len(read_tree(tmp_path / "data")) == 6


def write_mac_zip(path, contents):
    """Names in UTF-8, as macOS writes them: without the flag that says so."""
    fillers = [chr(ord("A") + n) * len(name.encode()) for n, name in enumerate(contents)]
    write_zip(path, dict(zip(fillers, contents.values(), strict=True)))
    data = path.read_bytes()
    for filler, name in zip(fillers, contents, strict=True):
        data = data.replace(filler.encode(), name.encode())
    path.write_bytes(data)
    return path


DEBRIS = {
    "sad/Icon\r": b"",
    "Icon\r": b"\0\0\1\0",
    "__MACOSX/sad/._Icon\r": b"\0\5\x16\7",
    "__MACOSX/" + "deep/" * 30 + "._a.png": draw_picture(),
    "sad/.DS_Store": b"\0\0\0\1Bud1",
    "sad/Thumbs.db": b"\xd0\xcf\x11\xe0",
    "sad/@eaDir/0000.png/SYNOPHOTO_THUMB_S.jpg": draw_picture(),
    "happy/DESKTOP.INI": b"[.ShellClassInfo]",
    "notes\twith\ttabs.txt": b"remember",
    "x" * 300 + ".txt": b"remember",
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_use_is_left_out_before_its_name_is_judged(tmp_path, suffix):
    contents = {**name_pictures(), **DEBRIS}
    archive = write_archive(tmp_path / f"photos{suffix}", contents)
    copied = extract_archive(archive, tmp_path / "data", progress=False)
    assert read_tree(tmp_path / "data") == name_pictures()
    assert {name for name, _ in copied.left_out} == set(DEBRIS)
    for name in ("__MACOSX/../../a", "/.DS_Store", "C:Thumbs.db", "..\\Icon\r"):
        archive = write_archive(tmp_path / f"bad{suffix}", {**contents, name: b""})
        assert_refused(archive, tmp_path, "leads outside")
    link = write_tar(tmp_path / "a.tar.gz", {"__MACOSX/._a": b""}, kind=tarfile.SYMTYPE)
    assert_refused(link, tmp_path, "link or a device")


def test_names_of_macos_are_read_as_utf8(tmp_path):
    names = [
        "sad/Zo\u0308e.png",
        "happy/\u5b09\u3057\u3044 1.png",
        "happy/" + "\u0436" * 120 + ".png",
    ]
    contents = {name: draw_picture(number) for number, name in enumerate(names)}
    archive = write_mac_zip(tmp_path / "a.zip", contents)
    extract_archive(archive, tmp_path / "data", progress=False)
    assert read_tree(tmp_path / "data") == contents


@pytest.mark.parametrize("encoding", ["cp932", "gbk", "cp866", "latin-1", "cp1251", "euc-kr"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_in_other_encodings_come_out_as_names(tmp_path, encoding, suffix):
    text = {"cp932": "\u8868\u30bd", "gbk": "\u8a93\u6a5c", "latin-1": "\xe4\xff"}
    raw = text.get(encoding, "\u0436\u044f").encode(encoding, errors="replace")
    if suffix == ".zip":
        archive = write_zip(tmp_path / "a.zip", {"sad/" + "#" * len(raw) + ".png": draw_picture()})
        archive.write_bytes(archive.read_bytes().replace(b"#" * len(raw), raw))
    else:
        name = b"sad/" + raw + b".png"
        archive = write_tar(
            tmp_path / "a.tar.gz", {name.decode("utf-8", "surrogateescape"): draw_picture()}
        )
    assert extract_archive(archive, tmp_path / "data", progress=False).left_out == ()
    (file,) = (tmp_path / "data" / "sad").iterdir()
    assert file.suffix == ".png" and len(file.stem) > 0
