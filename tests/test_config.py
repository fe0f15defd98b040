import pytest

from emoclf.config import CLASS_NAMES, Settings


def test_sad_is_class_1_and_happy_class_2():
    assert CLASS_NAMES == ("Sad", "Happy")


def test_settings_survive_json():
    settings = Settings(image_size=[64, 48], epochs=3, crop="face")
    assert settings.image_size == (64, 48)
    assert Settings(**settings.to_dict()) == settings


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
