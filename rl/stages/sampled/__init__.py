"""Stages that sample prompts, judge, and choose by what they find: profile, captions, harvest. They train nothing."""
