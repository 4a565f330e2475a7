"""DrIGM-QMIX: QMIX on targets that are robust to another environment (Qu et al., 2026, arXiv 2602.11437).

Nature may replace each transition by any other one with probability ρ (ρ-contamination). The worst of these has the
value r + γ·[(1 − ρ)·max Q_tot + ρ·min V]; with one worst case for the whole team, every agent's best action is still
its part of the team's best one. The authors' code takes min V = 0, and so does this: y = r + γ·(1 − ρ)·max Q_tot.

What 0 means is up to how rewards are counted. Where they are shaped (`multipliers.augmentation.Priced`), values are
counted from what the grid alone could do at the prices that an agent sees. They are positive for a policy that is of
use, and 0 for a district that has nothing but its grid from then on: in plain rewards V = r + γ·[(1 − ρ)·V' + ρ·Φ'],
with Φ' the worth of the load that waits and of the energy that is stored. Without shaping these would be lost as well,
and to serve at once, whatever it costs, would be robust. For this reason shaping keeps the discount γ, and ρ enters
only where values are bootstrapped.

Where rewards are not shaped, 0 is the worst only if no reward is negative. In a task that never ends another constant
would change no decision, since it is the same whatever is done; there, ρ shortens the discount to γ·(1 − ρ).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from accord.baselines.learners.value_decomposition import QMIX, ValueDecomposition
from accord.baselines.training.joint_method import register_joint
from accord.baselines.training.q_learning import ValueConfig


class RobustValueConfig(ValueConfig):
    """Settings of DrIGM-QMIX: those of QMIX, and how much it distrusts the transitions. Nobody searched for ρ."""

    rho: float = Field(0.1, ge=0, lt=1, description="Probability with which a transition may be any other; 0 is QMIX.")

    @property
    def bootstrap(self) -> float:
        """γ·(1 − ρ); see the module."""
        return self.gamma * (1.0 - self.rho)


class RobustValueDecomposition(ValueDecomposition):
    """QMIX whose targets are the worst over ρ-contaminated transitions."""

    config_type = RobustValueConfig
    identity = "baselines.robust_value_decomposition.RobustValueDecomposition"
    names: ClassVar[dict[str, str]] = {"monotonic": "drigm_qmix"}
    config: RobustValueConfig


register_joint(RobustValueDecomposition, {"drigm_qmix": QMIX})
