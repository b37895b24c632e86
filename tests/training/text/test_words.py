from chainzrule.training.text.words import words


def test_words_are_lower_case_and_marks_stand_alone() -> None:
    assert words("The Café's GREAT... 5/5!\n") == ["the", "café", "'s", "great", ".", ".", ".", "5", "/", "5", "!"]


def test_contractions_are_cut_as_gloves_are() -> None:
    assert words("Don't, can\u2019t; I've") == ["do", "n't", ",", "ca", "n't", ";", "i", "'ve"]
