"""From measured step times to the share of regions that a frame rate leaves time for: the host's part of `FrameRate`.

    pacer = Pacer(config.policy)
    for frames in video:
        state = pacer.steer(state)  # writes the share into the policy's state; nothing is compiled anew
        started = time.perf_counter()
        state, result = segment_frame(params, state, frames, config=config)
        segmented = np.asarray(result.segmented)  # waits for the device
        pacer.saw(segmented.mean(), time.perf_counter() - started)
    print(pacer.pace())

A frame's time is modelled as light + heavy × share segmented: what the frame step does (`eval/speed.py` has the fit's
residual). So the share for a rate follows at once from the two numbers, nothing is hunted for by trial, and times that
are known some frames late, as a pipeline's are, do not make it swing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from dvsnet_jax.policies import FrameRate

_KEPT = 0.95  # weight of a frame's time one frame later: the last 20 frames count
_ANCHOR = 0.05  # weight of the last estimate, which is what is left where the same share is seen again and again
_SPREADS = 3.0  # a time further off than so many usual deviations counts as one that is just so far off
_LEAST_SPREAD = 0.05  # of the expected time
_MADE_UP_WITHIN = 20  # frames
_MOST_LATE = 4.0  # frame times that are made up for; a longer stall is lost


class StepTimes(NamedTuple):
    """What is known of a step's time: least squares of seconds = light + heavy × share, old frames forgotten."""

    light: float = 0.0
    """Seconds of a frame with nothing segmented."""
    heavy: float = 0.0
    """Seconds more for all regions segmented."""
    spread: float = 0.0
    """Usual distance of a time from the line, seconds."""
    moments: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    """Weighted sums of 1, share, share², seconds, share × seconds."""
    frames: int = 0
    segmenting: int = 0
    """Frames of which a region was segmented; `heavy` is not known before the first."""
    most: float = 0.0
    """The largest share seen."""

    @property
    def known(self) -> bool:
        """Whether both numbers are: a frame with regions segmented has been seen, and another one."""
        return self.segmenting > 0 and self.frames > 1

    def after(self, share: float, seconds: float) -> StepTimes:
        """With one more frame. Raises ValueError for a share outside 0..1, and for a time that is not a finite number
        above 0."""
        if not 0 <= share <= 1 or not 0 < seconds < float("inf"):
            raise ValueError(
                f"a frame with a share of {share} segmented in {seconds} s: expected 0 to 1, and a time above 0"
            )
        spread = self.spread
        if self.known:
            expected = self.light + self.heavy * share
            usual = max(spread, _LEAST_SPREAD * expected)
            off = float(np.clip(seconds - expected, -_SPREADS * usual, _SPREADS * usual))
            # One time far off hardly moves the line, but widens what passes: a machine that has become slower is
            # followed within ten frames or so.
            spread, seconds = 0.8 * usual + 0.2 * abs(off), max(expected + off, 1e-9)
        seen = np.array([1.0, share, share**2, seconds, share * seconds])
        moments = _KEPT * np.array(self.moments) + seen
        count, first, second, time, product = moments
        anchor = _ANCHOR if self.known else 1e-6
        left = np.array([[count, first], [first, second]]) + anchor * np.eye(2)
        light, heavy = np.linalg.solve(left, np.array([time, product]) + anchor * np.array([self.light, self.heavy]))
        return StepTimes(
            light=max(float(light), 0.0),
            heavy=max(float(heavy), 0.0),
            spread=spread,
            moments=tuple(moments.tolist()),
            frames=self.frames + 1,
            segmenting=self.segmenting + (share > 0),
            most=max(self.most, share),
        )

    def share(self, seconds: float) -> float:
        """Which part of the regions a frame of so many seconds leaves time for, 0..1."""
        left = seconds - self.light
        if left <= 0:
            return 0.0
        return min(left / self.heavy, 1.0) if self.heavy > 0 else 1.0


class Pace(NamedTuple):
    """What became of a frame rate; of all frames but a video's first, which is segmented whole."""

    asked: float
    """Frames per second."""
    reached: float
    """Of the frame step alone; nan before the second frame."""
    share: float
    """Of all regions, segmented; nan before the second frame."""
    light: float
    """Seconds that a frame is expected to take with nothing segmented; 0 before the second frame."""

    @property
    def within_reach(self) -> bool:
        """Whether the rate could be kept if nothing at all were segmented."""
        return self.light * self.asked <= 1


class Pacer:
    """Steers the share of one video's (or several streams') `FrameRate` by the times that its frames took."""

    def __init__(self, policy: FrameRate) -> None:
        self.policy = policy
        self.times = StepTimes()
        self.at_once = 1
        """Streams that take part in a step, whose frames' times together are to be one of the rate."""
        self._first = True
        self._late = 0.0  # seconds that the last frames took too long; one frame may be saved up
        self._frames, self._seconds, self._segmented = 0, 0.0, 0.0

    @property
    def share(self) -> float:
        """For the next frame."""
        if not self.times.frames:
            return 0.0  # the light part alone comes first
        if not self.times.known:
            return 1 / self.policy.regions  # then a region, until one has been segmented
        time = self._frame - self._late / _MADE_UP_WITHIN
        # One region more than was ever timed and no further: the first few times may be no good.
        share = min(self.times.share(time), self.times.most + 1 / self.policy.regions)
        return max(share, self.policy.least)

    def steer(self, state: Any) -> Any:
        """The `VideoState` with this share in it."""
        policy = state.policy
        share = jnp.full(policy.share.shape, self.share, policy.share.dtype)
        return state._replace(policy=policy._replace(share=share))

    def saw(self, segmented: float, seconds: float) -> None:
        """Takes a frame's share of regions segmented, and the seconds of its step. Frames may come late, in order.

        The first one's time is not looked at: it may hold the compilation, and no share was chosen for it.
        """
        if self._first:
            self._first = False
            return
        self.times = self.times.after(float(segmented), seconds)
        frame = self._frame
        self._late = min(max(self._late + seconds - frame, -frame), _MOST_LATE * frame)
        self._frames, self._seconds = self._frames + 1, self._seconds + seconds
        self._segmented += float(segmented)

    def pace(self) -> Pace:
        """What was reached so far."""
        if not self._frames:
            return Pace(self.policy.fps, float("nan"), float("nan"), 0.0)
        reached = self._frames / self._seconds / self.at_once
        return Pace(self.policy.fps, reached, self._segmented / self._frames, self.times.light * self.at_once)

    @property
    def _frame(self) -> float:
        """Seconds that a frame may take."""
        return 1 / (self.policy.fps * self.at_once)
