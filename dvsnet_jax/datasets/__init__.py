"""Where training and measuring data come from: Cityscapes, CamVid, plain folders, flow pairs, a street drawn by numpy.

| module | what it holds |
|---|---|
| `samples` | one labelled picture, one pair with flow, and how a file of labels becomes train ids |
| `cityscapes`, `cityscapes256`, `camvid`, `folders` | readers; they list files first and read them when asked |
| `street` | driving clips without a file, with exact labels, flow and occlusion, and as data sources |
| `flow` | pairs with optical flow: files, flying pieces, found by dense inverse search |
| `augment` | random scale, crop, flip, rotation and colour that keep labels and flow right |
| `batches` | shuffled, sharded, batched and resumable to the exact sample (needs the extra `train`: grain) |
| `pair_lists` | the original's lists of (key, current, labels) |
"""
