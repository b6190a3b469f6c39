"""Labelled data sets as they are unpacked, each read as Cityscapes' 19 train ids or in classes of its own.

| module | data set |
|---|---|
| `vspw` | VSPW, 480p and original: videos, every frame labelled, 124 classes |
| `kitti_step` | KITTI-STEP: videos, every frame labelled, Cityscapes' classes, ids of persons and cars |
| `cityscapes_vps` | Cityscapes-VPS: snippets of 30 frames, six of them labelled |
| `apolloscape` | ApolloScape: videos, every frame labelled, 22 classes |
| `bdd100k` | BDD100K's 10k pictures, Cityscapes' classes |
| `vistas` | Mapillary Vistas 1.2: pictures, 65 classes |
| `idd` | IDD: pictures, 26 classes at its level 3 |
| `a2d2` | A2D2: pictures of six cameras, labels as colours, 38 classes |
| `named` | all of them by their names on a command line |

Every reader has `list_clips(root, split, num_classes=…)`: names of clips, each with its frames in order. A data set of
pictures that do not follow one another has clips of one frame.
"""
