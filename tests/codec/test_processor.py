"""Texts and files to batches: without a model, with tokenizers of Hugging Face, in a training loop."""

from __future__ import annotations

import io
import re
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tessera
from tessera.codec.reading.processor import TokenProcessor
from tessera.data import procedural
from tessera.models.tokens.modules.projector import Projector
from tessera.models.tokens.prompt.kinds import ModelKind
from tessera.tools.peers.mend import mend_torchvision

from ..support import tiny_vlm

WORDS = ["what", "moves", "a", "ball", "cube", ":", "seconds", "<|pad|>", "<|end|>", "<video>", "<image>"]
PLAIN = ModelKind("plain", (9,), 9)
WIDTH = tiny_vlm.WIDTH
PAGE = Path(__file__).resolve().parents[2] / "docs" / "vlm.md"
LOOP = textwrap.dedent(PAGE.read_text(encoding="utf-8").split("## Training a projector\n")[1].split("\nAn answer")[0])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clips of different sizes and lengths."""
    folder, made = tmp_path_factory.mktemp("clips"), []
    for number, (frames, height, width) in enumerate([(4, 48, 64), (2, 32, 32)]):
        made.append(folder / f"{number}.tsr")
        data = tessera.encode(procedural.clip(frames, height, width, seed=number), codec="wavelet", fps=2, gop=2)
        made[-1].write_bytes(data)
    return made


def words(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split()]


def test_a_batch_of_texts_clips_and_answers(clips: list[Path]) -> None:
    processor = TokenProcessor(words, PLAIN, reduce="tome", budget=6)
    batch = processor(["what moves <video>", "<video> what"], videos=clips, answers=["a ball", "cube"])
    assert batch["input_ids"].tolist() == [[0, 1, *[9] * 6, 2, 3], [0, 0, *[9] * 6, 0, 4]]
    assert batch["attention_mask"].tolist() == [[1] * 10, [0, 0, *[1] * 8]]
    assert batch["labels"].tolist() == [[*[-100] * 8, 2, 3], [*[-100] * 9, 4]]
    assert batch["position_ids"].tolist() == [list(range(10)), [0, 0, *range(8)]]
    assert batch["places"].sum(1).tolist() == [6, 6] and batch["vision"].shape == (12, 128)
    for number, path in enumerate(clips):
        assert torch.equal(batch["vision"][6 * number : 6 * number + 6], processor.tokens(path).x)
    right = TokenProcessor(words, PLAIN, reduce="tome", budget=6, padding_side="right")
    assert right(["what <video>", "<video>"], videos=clips)["attention_mask"][1].tolist() == [1] * 6 + [0]
    arrays = processor("<video>", videos=clips[1], budget=3, return_tensors="np")
    assert isinstance(arrays["vision"], np.ndarray) and arrays["input_ids"].tolist() == [[9, 9, 9]]
    moved = batch.to("meta", torch.bfloat16)
    assert all(tensor.device.type == "meta" for tensor in moved.values()) and moved["vision"].dtype == torch.float32


def test_files_open_clips_bytes_and_sets_are_all_taken(clips: list[Path]) -> None:
    processor = TokenProcessor(words, PLAIN, budget=5)
    wanted = processor("<video> <video>", videos=[clips[0], clips[0]], frames=(1, 3))["vision"]
    with tessera.open(clips[0]) as clip:
        found = processor("<video> <video>", videos=[[clip], io.BytesIO(clips[0].read_bytes())], frames=(1, 3))
        assert torch.equal(found["vision"], wanted)
        assert len(clip[0:1]) == 1, "an open clip stays open"
    tokens = processor.tokens(clips[0].read_bytes(), (1, 3))
    assert torch.equal(processor("<video> <video>", videos=[tokens, tokens])["vision"], wanted)


def test_steps_of_the_model_are_pixels_not_cells(clips: list[Path]) -> None:
    """Cells of 8 pixels in a model whose steps are 16: 6 x 8 cells are 3 x 4 steps, and text goes on behind 4."""
    kind = ModelKind("qwen2_vl", (9,), 9, mrope=True, unit=16)
    batch = TokenProcessor(words, kind, budget=1.0)("<video> what", videos=clips[0])
    t, y, x = batch["position_ids"][:, 0, :-1]
    assert (
        t.unique().tolist() == [0, 1, 2, 3] and y.unique().tolist() == [0, 1, 2] and x.unique().tolist() == [0, 1, 2, 3]
    )
    assert batch["position_ids"][:, 0, -1].tolist() == [4, 4, 4]
    timed = TokenProcessor(words, kind, budget=1.0, scale=1.0, per_second=4.0)("<video>", videos=clips[0])
    assert timed["position_ids"][0].unique().tolist() == [0, 2, 4, 6] and int(timed["position_ids"][2].max()) == 7


def test_bad_arguments_are_named(clips: list[Path]) -> None:
    processor = TokenProcessor(words, PLAIN, budget=5)
    for call, message in (
        (lambda: processor("what", videos=clips[0]), "0 places for vision .* 1 files"),
        (lambda: processor("<video>"), "1 places for vision .* 0 files"),
        (lambda: processor("<video>", videos=clips[0], answers=["a", "a"]), "2 answers for 1 texts"),
        (lambda: processor("<video>", videos=clips[0], return_tensors="tf"), "pt or np"),
        (lambda: processor("<video>", videos=clips[0], frames=(7, 9)), "frames"),
        (lambda: processor("<video>", videos=clips[0], frames=(0.5, 2)), "frames"),  # type: ignore[arg-type]
        (lambda: processor("<video>", videos=clips[0], bduget=8), "no option 'bduget'"),
        (lambda: processor("<video>", videos=clips[0], budget=-8), "budget is at least 1"),
        (lambda: processor("<video>", videos=clips[0], kind="ids"), "a processor sets kind itself"),
        (lambda: processor("<video>", videos=processor.tokens(clips[0]), budget=3), "budget is of files"),
        (lambda: processor("<video>", videos=processor.tokens(clips[0]), frames=(0, 1)), "frames is of files"),
        (lambda: processor("<video>", videos=7), "a path, bytes or a binary file, got int"),
        (lambda: processor("<video>", videos=clips[0].parent / "absent.tsr"), "absent.tsr"),
        (lambda: processor(7), "text is a text or a list of texts, not 7"),  # type: ignore[arg-type]
        (lambda: processor(["a", 7]), "text is a text or a list"),  # type: ignore[list-item]
        (lambda: processor([]), "text is an empty list"),
        (lambda: processor(["<video>", "none"], videos=clips[0]), "text 1 has no place for vision "),
        (lambda: processor("<video>", videos=clips[0], answers=7), "answers is a text or a list"),  # type: ignore[arg-type]
        (lambda: processor.embed({}, None), "model is a model of Hugging Face, not NoneType"),
        (lambda: processor.apply_chat_template("hello"), "conversation is a list of messages, not str"),
        (lambda: processor.apply_chat_template([{"role": "user"}]), "has role and content, not .'role'"),
        (lambda: processor.apply_chat_template([{"role": "user", "content": [3]}]), "content is a text or a list"),
        (lambda: processor.apply_chat_template([{"role": "user", "content": "a"}]), "tokenizer has no chat template"),
        (lambda: processor.batch_decode(torch.zeros(1, 2)), "tokenizer has no batch_decode"),
        (lambda: TokenProcessor(None, PLAIN), "tokenizer is one of Hugging Face or a function, not NoneType"),
        (
            lambda: TokenProcessor(lambda text: "a b", PLAIN)("<video>", videos=clips[0]),
            "makes a list of ids",
        ),
        (lambda: TokenProcessor(words, 3), "config is that of a model of Hugging Face, not int"),
        (lambda: TokenProcessor(words, PLAIN, scale=0), "scale is above 0"),
        (lambda: TokenProcessor(words, PLAIN, per_second=float("nan")), "per_second is a finite number"),
        (lambda: TokenProcessor(words, PLAIN, padding_side="top"), "left or right"),
        (lambda: processor.save_pretrained("nowhere"), "no save_pretrained"),
        (lambda: TokenProcessor.from_pretrained("nowhere"), "nowhere holds no TokenProcessor"),
    ):
        with pytest.raises(tessera.ParameterError, match=message):
            call()


# -- with transformers -------------------------------------------------------------------------------------------------


def tokenizer(more: list[str], template: str | None = None) -> Any:
    """A tokenizer of words, whose ids are places in a list; `more` are further special tokens."""
    mend_torchvision()
    transformers = pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    vocabulary = {word: number for number, word in enumerate([*WORDS, *"0123456789.<> ?", *more])}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="<|pad|>"))
    inner.pre_tokenizer = Split(Regex(r"[a-z]+|[^a-z]"), "isolated")
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<|pad|>", eos_token="<|end|>")
    made.add_special_tokens({"additional_special_tokens": ["<video>", "<image>", *more]})
    made.chat_template = template
    return made


TEMPLATE = (
    "{% for m in messages %}{% for part in m['content'] %}"
    "{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}:{% endif %}"
)


def test_clips_are_written_frame_by_frame_where_the_model_reads_them_so(clips: list[Path]) -> None:
    marks = ["<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>", "<img>", "</img>", "<IMG_CONTEXT>"]
    made = tokenizer(marks, TEMPLATE)
    video = made.convert_tokens_to_ids("<|video_pad|>")
    kind = replace(tiny_vlm.kind("qwen3_vl"), placeholders=(video,), video_id=video)
    processor = TokenProcessor(made, kind, reduce="pool", budget=8)
    talk = [{"role": "user", "content": [{"type": "video", "path": clips[0]}, {"type": "text", "text": "what"}]}]
    text = processor.apply_chat_template(talk, add_generation_prompt=True)
    assert text == "<|vision_start|><|video_pad|><|vision_end|>what:"
    batch = processor.apply_chat_template(talk, add_generation_prompt=True, tokenize=True, return_dict=True)
    pads = "<|vision_start|><|video_pad|><|video_pad|><|vision_end|>"
    spoken = "".join(f"<{at} seconds>{pads}" for at in ("0.0", "0.5", "1.0", "1.5")) + "what:"
    assert made.decode(batch["input_ids"][0]).replace(" ", "") == spoken.replace(" ", "")
    both = processor.apply_chat_template([talk, talk], tokenize=True)
    assert both["input_ids"].shape == (2, batch["input_ids"].shape[1] - 1)
    context = made.convert_tokens_to_ids("<IMG_CONTEXT>")
    intern = replace(tiny_vlm.kind("internvl"), placeholders=(context,), video_id=context)
    written = TokenProcessor(made, intern, reduce="pool", budget=2)("<video>", videos=clips[1])["input_ids"][0]
    assert made.convert_ids_to_tokens(written).count("<img>") == 2
    pictures = TokenProcessor(made, intern, budget=3)(
        "<IMG_CONTEXT>what", videos=tessera.encode(procedural.picture(16, 16))
    )
    assert made.convert_ids_to_tokens(pictures["input_ids"][0]) == ["<img>", *["<IMG_CONTEXT>"] * 3, "</img>", "what"]


def test_saved_and_found_by_auto_processor(clips: list[Path], tmp_path: Path) -> None:
    made = TokenProcessor(tokenizer([]), PLAIN, reduce="tome", budget=[3, 1], per_second=2.0, padding_side="right")
    made.save_pretrained(tmp_path / "processor")
    TokenProcessor.register()
    from transformers import AutoProcessor

    back = AutoProcessor.from_pretrained(tmp_path / "processor")
    assert type(back) is TokenProcessor and back.kind == PLAIN
    wanted, found = (one("<video>what", videos=clips[1]) for one in (made, back))
    assert wanted.keys() == found.keys() and all(torch.equal(wanted[name], found[name]) for name in wanted)
    assert (back.padding_side, back.per_second, back.budget) == ("right", 2.0, [3, 1])
    assert TokenProcessor.from_pretrained(tmp_path / "processor", budget=7).budget == 7
    made.budget = lambda grid: 3
    with pytest.raises(tessera.ParameterError, match="plain values only"):
        made.save_pretrained(tmp_path / "other")


def test_a_projector_learns_in_front_of_a_frozen_model(clips: list[Path], tmp_path: Path) -> None:
    """The training loop of docs/vlm.md as it stands there: the bfloat16 model stays, what was learnt is generated."""
    pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")
    model = tiny_vlm.make("qwen3_vl").to(torch.bfloat16)
    before = [weights.clone() for weights in model.parameters()]

    def ids(text: str) -> list[int]:
        """A word is its length, everything in brackets but the placeholder is 3."""
        found = re.findall("<[^>]*>|[a-z]+", text)
        return [tiny_vlm.VIDEO if "video" in word else 3 if word[0] == "<" else len(word) for word in found]

    processor = TokenProcessor(ids, model, reduce="pool", budget=4)
    text = f"ab {processor.kind.clip_text} abc"
    items = [(text, clips[0], "aaaaa"), (text, clips[1], "aaaaaaaaa")] * 12
    names = {"model": model, "processor": processor, "paths": clips, "items": items, "channels": 128, "torch": torch}
    loop = (
        LOOP.replace("lr=1e-3", "lr=0.03")
        .replace("batch_size=8", "batch_size=2")
        .replace("num_workers=4", "num_workers=0")
    )
    exec(loop.replace('"projector.safetensors"', repr(str(tmp_path / "projector.safetensors"))), names)
    assert float(names["loss"].detach()) < 1.5, "from 5"
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    asked = processor([text] * 2, videos=clips)
    projector = Projector.load(tmp_path / "projector.safetensors")
    made = model.generate(**processor.embed(asked, model, projector), max_new_tokens=1, do_sample=False)
    assert made[:, -1].tolist() == [5, 9]
