"""How good labels, flow and predicted confidences are: measures as counts that add up over pictures and processes."""
