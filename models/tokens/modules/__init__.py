"""Trainable modules and stateful helpers around tokens: resamplers, projectors, memory, schedules."""
