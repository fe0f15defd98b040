import pytest

from emoclf.config import CLASS_NAMES, Settings


def test_sad_is_class_1_and_happy_class_2():
    assert CLASS_NAMES == ("Sad", "Happy")


def test_settings_survive_json():
    settings = Settings(image_size=[64, 48], epochs=3, crop="face")
    assert settings.image_size == (64, 48)
    assert Settings(**settings.to_dict()) == settings


def test_what_is_left_out_follows_from_the_network():
    face = Settings(network="face")
    assert (face.image_size, face.crop) == ((48, 48), "face")
    assert (Settings().image_size, Settings().crop) == ((96, 96), "none")
    assert Settings(network="face", crop="none").crop == "none"
    assert Settings(**face.to_dict()) == face


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"network": "face", "image_size": (96, 96)}, r"48 x 48 .*image_size=\(96, 96\)"),
        ({"weights": "a.weights.h5"}, "network='small'"),
        ({"network": "face", "weights": "a.weights.h5"}, "network='face'"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_when_they_are_made(values, said):
    with pytest.raises(ValueError, match=said):
        Settings(**values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", (96,)),
        ("image_size", (31, 96)),
        ("resize_mode", "stretch"),
        ("crop", "cat"),
        ("network", "vgg"),
        ("weights", ""),
        ("precision", "half"),
        ("validation_fraction", 0),
        ("test_fraction", 0.9),
        ("batch_size", 0),
        ("epochs", 0),
        ("learning_rate", 0),
        ("patience", 0),
        ("dropout", 1.0),
    ],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name}="):
        Settings(**{name: value})
