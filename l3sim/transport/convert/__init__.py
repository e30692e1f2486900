"""Dataclasses to protocol buffers and back: what opens a session, its rounds, jobs, functional calls."""
