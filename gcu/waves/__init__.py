"""Recorded waveforms: what is worth looking at, as views for GTKWave and Surfer, as pictures, and compared with each other."""
