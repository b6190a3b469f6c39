"""The network of `eval/pytorch_case.py`: a SegFormer of B0's size, trained and run in PyTorch alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
import transformers

from dvsnet_jax.config import ImageInput
from dvsnet_jax.datasets.cityscapes import CLASSES
from dvsnet_jax.datasets.labelled_sets import labelled_sets

BATCH, CROP, RATE = 8, (320, 448), 3e-4
WANTED = ImageInput.imagenet()


def as_wanted(images: np.ndarray) -> torch.Tensor:
    """RGB [n, h, w, 3], 0..255, as the network is trained on."""
    pixels = (torch.as_tensor(images) / 255 - torch.tensor(WANTED.mean)) / torch.tensor(WANTED.deviation)
    return pixels.permute(0, 3, 1, 2)


def trained(data: str, place: Path, steps: int = 6000) -> None:
    """A SegFormer trained on a labelled set, saved to `place` in Hugging Face's layout."""
    torch.manual_seed(0)
    draw, source = np.random.default_rng(0), labelled_sets([data], in_memory=True)
    named = {"id2label": dict(enumerate(CLASSES)), "label2id": {name: label for label, name in enumerate(CLASSES)}}
    model = transformers.SegformerForSemanticSegmentation(transformers.SegformerConfig(**named)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, steps)
    for step in range(steps):
        batch = []
        for index in draw.integers(len(source), size=BATCH):
            image, labels = source[int(index)]
            top, left = (int(draw.integers(have - want + 1)) for have, want in zip(labels.shape, CROP, strict=True))
            cut = (slice(top, top + CROP[0]), slice(left, left + CROP[1]))
            turned = slice(None, None, int(draw.choice((1, -1))))
            batch.append((image[cut][:, turned], labels[cut][:, turned]))
        images, labels = (np.stack(each) for each in zip(*batch, strict=True))
        loss = model(as_wanted(images), labels=torch.as_tensor(labels).long()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    model.save_pretrained(place)
    said = {"image_mean": WANTED.mean, "image_std": WANTED.deviation, "rescale_factor": 1 / 255}
    (place / "preprocessor_config.json").write_text(json.dumps(said))


def by_torch(data: str, place: Path) -> str:
    """Every frame whole through PyTorch, one after another, as a user has it."""
    model, spent = transformers.SegformerForSemanticSegmentation.from_pretrained(place).eval(), []
    for image, labels in labelled_sets([data], in_memory=True):
        began = time.perf_counter()
        with torch.inference_mode():
            scores = model(as_wanted(image[None])).logits
            torch.nn.functional.interpolate(scores, labels.shape, mode="bilinear").argmax(1).numpy()
        spent.append(time.perf_counter() - began)
    return f"PyTorch {torch.__version__}, every frame: {1000 * np.median(spent):.1f} ms a frame"
