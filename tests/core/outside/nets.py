"""Networks as other people write them; nothing here knows of memrec."""

from collections import namedtuple
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


def connected(*sizes):
    """Linear layers of these sizes, orthogonal at first, with activations between them."""
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.LeakyReLU()]
    for layer in layers[::2]:
        nn.init.orthogonal_(layer.weight, gain=1.4)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers[:-1])


class Dense(nn.Module):
    """For grey images of 28 x 20 in [-1, 1]; returns a dict."""

    def __init__(self, width=160):
        super().__init__()
        self.body = connected(560, width, width, width, 560)

    def forward(self, x):
        return {"recon": self.body(x.flatten(1)).view_as(x), "features": x.flatten(1), "x": x}


def dense():
    return Dense()


def narrow():
    return Dense(96)


class Plain(nn.Module):
    """One matrix over the colours, with whatever `wrap` makes of the image."""

    def __init__(self, channels=3, wrap=lambda image, x: image):
        super().__init__()
        self.colours = nn.Conv2d(channels, channels, 1)
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(self.colours(x), x)


@dataclass
class Sampled:
    sample: torch.Tensor
    latent: torch.Tensor | None = None


@dataclass
class Reconstructed:
    reconstruction: torch.Tensor


class Guessed:
    """With slots, and another image beside."""

    __slots__ = ("noisy", "recon")

    def __init__(self, recon, noisy):
        self.recon, self.noisy = recon, noisy


@dataclass
class Named:
    decoded: torch.Tensor
    input: torch.Tensor


Pair = namedtuple("Pair", "image latent")

RETURNS = {
    "tensor": lambda image, x: image,
    "tuple": lambda image, x: (image, x.mean((2, 3))),
    "list": lambda image, x: [x.mean(), image],
    "dict": lambda image, x: {"loss": x.mean(), "out": image},
    "namedtuple": lambda image, x: Pair(image, None),
    "sample": lambda image, x: Sampled(image),
    "reconstruction": lambda image, x: Reconstructed(image),
    "recon": lambda image, x: Guessed(image, x),
    "dict of recon": lambda image, x: {"x": x, "recon": image},
    "dict of x_hat": lambda image, x: {"target": x.clone(), "x_hat": image, "mu": x.mean((2, 3))},
    "dict of sample": lambda image, x: {"input": x, "sample": image},
    "dict of reconstruction": lambda image, x: {"input": x, "reconstruction": image, "sample": x.mean((2, 3))},
    "three": lambda image, x: (image, x.clone(), x.mean((2, 3))),
    "given and made": lambda image, x: (x, image, x.mean()),
    "ambiguous": lambda image, x: {"out": image, "target": x},
    "two usual": lambda image, x: {"recon": image, "x_hat": image + 1},
    "flat": lambda image, x: {"recon": image.flatten(1), "x": x},
    "attribute": lambda image, x: Named(image, x),
    "two": lambda image, x: (x.clone(), image),
    "nothing": lambda image, x: None,
    "distribution": lambda image, x: torch.distributions.Normal(image, 1.0),
}


def plain():
    return Plain()


class Halving(nn.Module):
    """Three strided convolutions: it needs a height and width that 8 divides."""

    def __init__(self, channels=1):
        super().__init__()
        self.down = nn.Sequential(*(nn.Conv2d(c, d, 3, 2, 1) for c, d in [(channels, 4), (4, 4), (4, 4)]))
        self.up = nn.Sequential(*(nn.ConvTranspose2d(c, d, 2, 2) for c, d in [(4, 4), (4, 4), (4, channels)]))

    def forward(self, x):
        return self.up(self.down(x))


class Skipping(Halving):
    """As above, and fails where the two ways differ in size."""

    def forward(self, x):
        return super().forward(x) + x


class Small(nn.Module):
    """A U-Net of three levels: it halves, and puts what it had beside what it makes of the half."""

    def __init__(self, channels=1):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv2d(c, 4, 3, padding=1) for c in (channels, 4, 4))
        self.up = nn.ModuleList(nn.Conv2d(8, 4, 3, padding=1) for _ in range(3))
        self.last = nn.Conv2d(4, channels, 1)

    def forward(self, x):
        kept = []
        for layer in self.down:
            kept.append(F.relu(layer(x)))
            x = F.max_pool2d(kept[-1], 2)
        for layer, before in zip(self.up, reversed(kept), strict=True):
            x = F.relu(layer(torch.cat([F.interpolate(x, scale_factor=2), before], 1)))
        return self.last(x)


class Dropping(nn.Module):
    """Dropout that eval() does not reach."""

    def __init__(self, rate=0.1):
        super().__init__()
        self.colours, self.rate = nn.Conv2d(3, 3, 1), rate

    def forward(self, x):
        return F.dropout(self.colours(x), self.rate, training=True)


class Variational(nn.Module):
    """Samples its latent, as the one of a paper's first listing does, whatever the mode."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(192, 2 * 8), nn.Linear(8, 192)

    def encode(self, x):
        return self.encoder(x.flatten(1)).chunk(2, 1)

    def decode(self, z):
        return self.decoder(z).view(-1, 3, 8, 8)

    def forward(self, x):
        mean, log_variance = self.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(z), mean, log_variance


class Reconstructing(Variational):
    """As MONAI's: its forward samples, and a method of its own does not."""

    def reconstruct(self, x):
        return self.decode(self.encode(x)[0])


class Sampling(nn.Module):
    """A variational autoencoder of grey images of 8 x 8 in [0, 1]; its forward samples."""

    def __init__(self, width=128, latent=32):
        super().__init__()
        self.encoder, self.decoder = connected(64, width, 2 * latent), connected(latent, width, 64)

    def encode(self, x):
        return self.encoder(x.flatten(1)).chunk(2, 1)

    def decode(self, z):
        return self.decoder(z).view(-1, 1, 8, 8)

    def forward(self, x):
        mean, log_variance = self.encode(x)
        z = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return self.decode(z), mean, log_variance


class Telling(Sampling):
    """Writes a file as it is unpickled."""

    def __init__(self, network, path):
        super().__init__()
        self.load_state_dict(network.state_dict())
        self.path = path

    def __setstate__(self, state):
        super().__setstate__(state)
        self.path.write_text("ran")


def of_the_mean(network):
    return lambda x: (network.decode(network.encode(x)[0]), None)


def one_that_fails(network):
    return network.no_such_method


class Normed(nn.Module):
    """With counts beside its weights."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 3, 1))

    def forward(self, x):
        return self.body(x)


class Among(nn.Module):
    """Normalises by the batch that an image is in."""

    def forward(self, x):
        return (x - x.mean(0, keepdim=True)) / 2


class Shared(nn.Module):
    """One weight under two names."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.first(x))


class Last(nn.Module):
    """Its weights lie in memory with the channels last."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 3, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, x):
        return self.body(x)


def with_an_argument(channels):
    return Plain(channels)


def that_fails():
    raise FileNotFoundError("config.yaml is not here")


def that_returns_nothing():
    return None


READY = Plain()
NUMBER = 7


class Restless(nn.Module):
    """Keeps something random that is in no state dict; `unseeded`: not even from torch's own random numbers."""

    def __init__(self, unseeded=False):
        super().__init__()
        self.colours = nn.Conv2d(3, 3, 1)
        source = torch.Generator()
        if unseeded:
            source.seed()
        noise = torch.randn(1, 3, 1, 1, generator=source if unseeded else None)
        self.register_buffer("noise", noise, persistent=False)

    def forward(self, x):
        return self.colours(x) + self.noise


def unseeded():
    return Restless(unseeded=True)


class Extra(Plain):
    """Has a state that is no tensor."""

    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass


def half():
    return lambda x: x / 2


class Grey(nn.Module):
    """Fully connected, for grey images of 8 x 8 in [0, 1]."""

    def __init__(self, width=128):
        super().__init__()
        self.body = connected(64, width, width, width, 64)

    def forward(self, x):
        return self.body(x.flatten(1)).view_as(x)


class Choosy(Grey):
    """Refuses images that are mostly black."""

    def forward(self, x):
        if (x.flatten(1) == 0).float().mean(1).max() > 0.7:
            raise ValueError("this is no photograph")
        return super().forward(x)


def same():
    return lambda x: x.clone()
