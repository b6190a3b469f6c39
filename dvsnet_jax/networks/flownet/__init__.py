"""The FlowNet2 family (Ilg et al., FlowNet 2.0, CVPR 2017), DVSNet's FlowNet2-s among them."""
