"""Product clips rendered procedurally with numpy and OpenCV: a seed in, frames and masks out."""
