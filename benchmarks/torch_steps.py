"""The stages' training steps written plainly in PyTorch, in two forms, as the peers of benchmarks/train_step.py.

`released` is how the authors' released training does it: two full passes a step, and gradients through everything in
both. `careful` is how a careful engineer writes it: one pass of the generators, channels last, no gradient through the
generators in the discriminators' pass, no gradient of weights that the pass does not train, frozen networks without a
graph, a fused optimizer.

Both players move at the end of a step, as they do in the stages, so that the losses can be compared. The losses are the
totals of the stages by their logged names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmarks.torch_peer import DOMAINS, PeerNetworks
from lsps_tf.config import Config, LossWeights

FORMS = ("released", "careful")
OTHER = {"synthetic": "real", "real": "synthetic"}
LOG_2 = 0.6931471805599453

Noise = Callable[[str, Tensor], Tensor]
Batch = dict[str, dict[str, Tensor]]


def drawn(name: str, like: Tensor) -> Tensor:
    """Noise as PyTorch draws it."""
    return torch.randn_like(like)


class Step:
    """A stage's training step.

    Args:
        networks: the peer's.
        weights: the lambdas.
        careful: which form.
        noise: the unit normal noise of a name in the shape of a tensor.
    """

    def __init__(self, networks: PeerNetworks, weights: LossWeights, careful: bool, noise: Noise = drawn):
        self.networks, self.weights, self.careful, self.noise = networks, weights, careful, noise

    def adam(self, parameters: list[Tensor], rate: float, beta_1: float) -> torch.optim.Adam:
        """Adam as the stages have it, but for the place of epsilon in its formula, which the losses do not show."""
        return torch.optim.Adam(parameters, rate, (beta_1, 0.999), 1e-7, fused=self.careful)

    def pose_latent(self, joints: Tensor, name: str) -> Tensor:
        """A sample of the frozen pose encoder's posterior."""
        with torch.no_grad():
            mean, stddev = self.networks.encode_pose(joints)
            return mean + stddev * self.noise(name, mean)


class PoseStep(Step):
    """Equation 1."""

    def __init__(self, *given: Any, rate: float, beta_1: float, **options: Any):
        super().__init__(*given, **options)
        self.optimizer = self.adam(self.networks.pose_parameters(), rate, beta_1)

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        joints = batch["synthetic"]["joints"].flatten(1)
        mean, stddev = self.networks.encode_pose(joints)
        made = self.networks.pose_decoder(mean + stddev * self.noise("pose", mean))
        kl = (0.5 * (mean**2 + stddev**2 - 1.0) - torch.log(stddev)).sum(dim=1).mean()
        nll = ((made - joints).abs() + LOG_2).sum(dim=1).mean()
        total = self.weights.lambda_0 * kl + self.weights.lambda_1 * nll
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        return {"eq1_pose": total.detach()}


class DepthStep(Step):
    """Equation 2 without labels of real frames."""

    def __init__(self, *given: Any, rates: tuple[float, float], beta_1: float, cycle: bool, **options: Any):
        super().__init__(*given, **options)
        nets = self.networks
        self.players = nets.generator_parameters(), nets.discriminator_parameters()
        self.optimizers = [self.adam(player, rate, beta_1) for player, rate in zip(self.players, rates)]
        self.cycle = cycle

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        pose = self.pose_latent(batch["synthetic"]["joints"], "pose_synthetic")
        images = {domain: batch[domain]["image"] for domain in DOMAINS}
        totals = (self._careful_pass if self.careful else self._released_pass)(images, pose)
        for optimizer in self.optimizers:
            optimizer.step()
        return {"eq2_generators": totals[0].detach(), "eq2_discriminators": totals[1].detach()}

    def _released_pass(self, images: dict[str, Tensor], pose: Tensor) -> tuple[Tensor, Tensor]:
        totals, kept = [], []
        for player, optimizer in zip(self.players, self.optimizers):
            self.networks.zero_grad()
            outputs = self.generate(images, pose)
            verdicts = self.judge(images, outputs)
            terms = self.generator_total if optimizer is self.optimizers[0] else self.discriminator_total
            totals.append(terms(images, outputs, verdicts, pose))
            totals[-1].backward()
            kept.append([parameter.grad for parameter in player])
        for player, gradients in zip(self.players, kept):
            for parameter, gradient in zip(player, gradients):
                parameter.grad = gradient
        return tuple(totals)

    def _careful_pass(self, images: dict[str, Tensor], pose: Tensor) -> tuple[Tensor, Tensor]:
        outputs = self.generate(images, pose)
        for parameter in self.players[1]:
            parameter.requires_grad_(False)
        fakes = {domain: outputs["fakes"][domain] for domain in DOMAINS}
        logits = {domain: self._logits(self.networks.features(fakes[domain], domain)) for domain in DOMAINS}
        generators = self.generator_total(images, outputs, {"fake_logits": logits}, pose)
        self._set_gradients(generators, self.players[0])
        for parameter in self.players[1]:
            parameter.requires_grad_(True)
        fixed = {
            **outputs,
            "fakes": {domain: [image.detach() for image in fakes[domain]] for domain in DOMAINS},
            "own": {domain: outputs["own"][domain].detach() for domain in DOMAINS},
        }
        discriminators = self.discriminator_total(images, fixed, self.judge(images, fixed), pose)
        self._set_gradients(discriminators, self.players[1])
        return generators, discriminators

    @staticmethod
    def _set_gradients(total: Tensor, parameters: list[Tensor]) -> None:
        for parameter, gradient in zip(parameters, torch.autograd.grad(total, parameters)):
            parameter.grad = gradient

    def generate(self, images: dict[str, Tensor], pose: Tensor) -> dict[str, Any]:
        """What E, G and M make: reconstructions `own`, and `fakes` per domain (translated, then of the pose)."""
        nets = self.networks
        means = dict(zip(DOMAINS, nets.encode(images)))
        latents = {domain: mean + self.noise(f"latent_{domain}", mean) for domain, mean in means.items()}
        mapped = nets.mapping(pose[:, :, None, None])
        made = nets.translate(list(latents.values()))
        made = {domain: dict(zip(DOMAINS, made[domain])) for domain in DOMAINS}
        fakes = {domain: [made[domain][OTHER[domain]]] for domain in DOMAINS}
        fakes["synthetic"] += nets.generate([mapped], "synthetic")
        outputs = {"means": means, "latents": latents, "mapped": mapped, "fakes": fakes}
        outputs["own"] = {domain: made[domain][domain] for domain in DOMAINS}
        if self.cycle:
            translated = {OTHER[domain]: made[OTHER[domain]][domain] for domain in DOMAINS}
            cycled = dict(zip((OTHER[domain] for domain in translated), nets.encode(translated)))
            outputs["cycle_means"] = cycled
            back = {domain: mean + self.noise(f"cycle_{domain}", mean) for domain, mean in cycled.items()}
            outputs["cycles"] = {domain: nets.generate([back[domain]], domain)[0] for domain in DOMAINS}
        return outputs

    def judge(self, images: dict[str, Tensor], outputs: dict[str, Any]) -> dict[str, Any]:
        """What D says of real images, of fakes, and, for the matching, of reconstructions."""
        verdicts = {"real_logits": {}, "fake_logits": {}, "features": {}}
        for domain in DOMAINS:
            judged = [images[domain], *outputs["fakes"][domain]]
            matched = [outputs["own"][domain]] if self.weights.lambda_8_depth else []
            features = self.networks.features([*judged, *matched], domain)
            verdicts["features"][domain] = features
            logits = self._logits(features[: len(judged)])
            verdicts["real_logits"][domain], verdicts["fake_logits"][domain] = logits[0], logits[1:]
        return verdicts

    def _logits(self, features: list[Tensor]) -> list[Tensor]:
        logits = self.networks.head(torch.cat(features))
        return list(logits.split([len(part) for part in features]))

    def generator_total(self, images: dict[str, Tensor], outputs: dict, verdicts: dict, pose: Tensor) -> Tensor:
        """What E, G and M minimise: equations 3 to 6."""
        w, total = self.weights, 0.0
        for domain, image in images.items():
            total = (
                total + w.lambda_2 * _kl(outputs["means"][domain]) + w.lambda_3 * _nll(outputs["own"][domain], image)
            )
            total = total + w.lambda_4 * softplus(-verdicts["fake_logits"][domain][0]).mean()
            if self.cycle:
                total = total + w.lambda_2 * _kl(outputs["cycle_means"][domain])
                total = total + w.lambda_3 * _nll(outputs["cycles"][domain], image)
        distance = ((outputs["mapped"] - outputs["latents"]["synthetic"]) ** 2).mean()
        rendered = outputs["fakes"]["synthetic"][1]
        total = total + w.lambda_5 * distance + w.lambda_6 * _nll(rendered, images["synthetic"])
        return total + w.lambda_4_mapping * softplus(-verdicts["fake_logits"]["synthetic"][1]).mean()

    def discriminator_total(self, images: dict[str, Tensor], outputs: dict, verdicts: dict, pose: Tensor) -> Tensor:
        """What D and P minimise: their side of equations 4 and 6, and equations 7 and 8."""
        w, total = self.weights, 0.0
        fake, features = verdicts["fake_logits"], verdicts["features"]
        for domain in DOMAINS:
            total = total + w.lambda_4 * softplus(-verdicts["real_logits"][domain]).mean()
            total = total + w.lambda_4 * softplus(fake[domain][0]).mean()
        total = total + w.lambda_4_mapping * softplus(fake["synthetic"][1]).mean()
        predicted = self.networks.predict(features["synthetic"][0])
        total = total + w.lambda_7 * ((predicted - pose) ** 2).sum(dim=1).mean()
        if w.lambda_8_depth:
            for source in DOMAINS:
                # Of the domain's own latents the reconstruction comes last, of the other's the translation second.
                matched = [features[domain][-1 if domain == source else 1] for domain in DOMAINS]
                total = total + w.lambda_8_depth * (matched[0] - matched[1]).abs().mean()
        return total


class PosteriorStep(Step):
    """Equation 8 without labels of real frames."""

    def __init__(self, *given: Any, rate: float, beta_1: float, clip_norm: float, **options: Any):
        super().__init__(*given, **options)
        self.parameters = self.networks.posterior_parameters()
        self.optimizer = self.adam(self.parameters, rate, beta_1)
        self.clip_norm = clip_norm

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        nets, w = self.networks, self.weights
        pose = self.pose_latent(batch["synthetic"]["joints"], "pose_synthetic")
        image, real = batch["synthetic"]["image"], batch["real"]["image"]
        with torch.set_grad_enabled(not self.careful):
            latents = nets.encode({"synthetic": image[: len(real)], "real": real})
            made = nets.translate(latents)
        # Images by domain: of synthetic frames, of real ones; the synthetic frames themselves come first.
        synthetic = nets.features([image, *made["synthetic"]], "synthetic")
        features = {"synthetic": synthetic[1:], "real": nets.features(made["real"], "real")}
        total = w.lambda_7 * self._regression(synthetic[0], pose)
        if w.lambda_7_made:
            for domain in DOMAINS:
                total = total + w.lambda_7_made * self._regression(features[domain][0], pose[: len(real)])
        for source in range(len(DOMAINS)):
            distance = (features["synthetic"][source] - features["real"][source]).abs().mean()
            total = total + w.lambda_8_posterior * distance
        nets.zero_grad()
        total.backward()
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        return {"eq8_posterior": total.detach()}

    def _regression(self, features: Tensor, pose: Tensor) -> Tensor:
        return ((self.networks.predict(features) - pose) ** 2).sum(dim=1).mean()


def build_step(
    stage: str, form: str, config: Config, networks: PeerNetworks, noise: Noise = drawn
) -> Callable[[Batch], dict[str, Tensor]]:
    """The step of a stage in one of the `FORMS`; `careful` also lays the networks' kernels channels last."""
    careful, training = form == "careful", config.training
    networks = networks.to(memory_format=torch.channels_last if careful else torch.contiguous_format)
    given, beta_1 = (networks, config.weights, careful), training.adam_beta_1
    if stage == "pose":
        return PoseStep(*given, rate=training.pose_learning_rate, beta_1=beta_1, noise=noise)
    if stage == "posterior":
        rate, clip_norm = training.posterior_learning_rate, training.clip_norm
        return PosteriorStep(*given, rate=rate, beta_1=beta_1, clip_norm=clip_norm, noise=noise)
    rates = training.depth_learning_rate, training.discriminator_learning_rate
    return DepthStep(*given, rates=rates, beta_1=beta_1, cycle=training.cycle, noise=noise)


def _kl(mean: Tensor) -> Tensor:
    return 0.5 * (mean**2).mean()


def _nll(made: Tensor, image: Tensor) -> Tensor:
    return (made - image).abs().mean() + LOG_2
