"""The PyTorch networks that `eval/architectures.py` goes through, in full size with random weights."""

from __future__ import annotations

import torch
import transformers as hf

PLAIN, N = {"weights": None, "weights_backbone": None, "num_classes": 19}, {"num_labels": 19}
B5 = hf.SegformerConfig(depths=[3, 6, 40, 3], hidden_sizes=[64, 128, 320, 512], decoder_hidden_size=768, **N)
STAGES = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
CONVNEXT = hf.ConvNextConfig(hidden_sizes=[96, 192, 384, 768], **STAGES)


class Told(torch.nn.Module):
    """OneFormer with its task."""

    def __init__(self):
        super().__init__()
        self.network = hf.OneFormerForUniversalSegmentation(hf.OneFormerConfig(is_training=False, **N))

    def forward(self, images):
        return self.network(images, torch.zeros(1, 77, dtype=torch.int64).expand(images.shape[0], -1))


def tv(name):
    from torchvision.models import segmentation

    return getattr(segmentation, name)(**PLAIN)


def smp(kind, encoder):
    import segmentation_models_pytorch

    return getattr(segmentation_models_pytorch, kind)(encoder, encoder_weights=None, classes=19)


MADE = {
    "SegFormer-B0": lambda: hf.SegformerForSemanticSegmentation(hf.SegformerConfig(**N)),
    "SegFormer-B5": lambda: hf.SegformerForSemanticSegmentation(B5),
    "UperNet, ConvNeXt-T": lambda: hf.UperNetForSemanticSegmentation(
        hf.UperNetConfig(backbone_config=CONVNEXT, use_auxiliary_head=False, **N)),
    "DPT, ViT-L": lambda: hf.DPTForSemanticSegmentation(hf.DPTConfig(**N)),
    "MobileNetV2-DeepLabV3+": lambda: hf.MobileNetV2ForSemanticSegmentation(hf.MobileNetV2Config(**N)),
    "MobileViTV2-DeepLabV3": lambda: hf.MobileViTV2ForSemanticSegmentation(hf.MobileViTV2Config(**N)),
    "BEiT-B": lambda: hf.BeitForSemanticSegmentation(hf.BeitConfig(image_size=384, out_indices=[3, 5, 7, 11], **N)),
    "Mask2Former, Swin-T": lambda: hf.Mask2FormerForUniversalSegmentation(
        hf.Mask2FormerConfig(backbone_config=hf.SwinConfig(**STAGES), **N)),
    "MaskFormer, Swin-B": lambda: hf.MaskFormerForInstanceSegmentation(hf.MaskFormerConfig(**N)),
    "OneFormer, Swin-T": Told,
    "EoMT, ViT-L": lambda: hf.EomtForUniversalSegmentation(hf.EomtConfig(**N)),
    "DeepLabV3-ResNet50 (torchvision)": lambda: tv("deeplabv3_resnet50"),
    "FCN-ResNet50 (torchvision)": lambda: tv("fcn_resnet50"),
    "DeepLabV3-MobileNetV3 (torchvision)": lambda: tv("deeplabv3_mobilenet_v3_large"),
    "LRASPP-MobileNetV3 (torchvision)": lambda: tv("lraspp_mobilenet_v3_large"),
    "U-Net, ResNet34 (smp)": lambda: smp("Unet", "resnet34"),
    "FPN, ConvNeXt-T of timm (smp)": lambda: smp("FPN", "tu-convnext_tiny"),
}  # fmt: skip
SIZES = {"EoMT, ViT-L": (640, 640), "BEiT-B": (384, 384), "DPT, ViT-L": (384, 384)}
"""Of those that take one size alone."""


def made(name: str) -> torch.nn.Module:
    """The network in evaluation mode, the same at every call."""
    torch.manual_seed(0)
    module = MADE[name]().eval()
    for layer in module.modules():  # so that small numbers of a fresh network do not die out on the way
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    return module
