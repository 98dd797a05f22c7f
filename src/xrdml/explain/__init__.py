"""What the networks learned: attention, Grad-CAM, sensitivity, sections, contraction, paths of solutions."""
