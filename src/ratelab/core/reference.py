"""Where an idea comes from: paper, equation, and the BibTeX that ``ratelab cite`` prints."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A published paper: its short name in this project, a one-line citation, and a BibTeX entry."""

    key: str
    citation: str
    bibtex: str


@dataclass(frozen=True)
class Reference:
    """A place in a paper, e.g. ``Reference(A18, "section 4, eq. 6")``."""

    paper: Paper
    place: str = ""

    def __str__(self) -> str:
        return f"{self.paper.citation}{', ' + self.place if self.place else ''}"


def _paper(key: str, kind: str, authors: str, title: str, venue: str, year: int, short: str) -> Paper:
    place = {"inproceedings": "booktitle", "article": "journal", "misc": "howpublished"}[kind]
    bibtex = (
        f"@{kind}{{{key},\n  author = {{{authors}}},\n  title = {{{{{title}}}}},\n"
        f"  {place} = {{{venue}}},\n  year = {{{year}}}\n}}"
    )
    return Paper(key, f"{short} ({year}), {title}", bibtex)


A18 = _paper(
    "alemi2018fixing", "inproceedings",
    "Alemi, Alexander A. and Poole, Ben and Fischer, Ian and Dillon, Joshua V. and Saurous, Rif A. and Murphy, Kevin",
    "Fixing a Broken ELBO", "International Conference on Machine Learning", 2018, "Alemi et al.",
)  # fmt: skip
X23 = _paper(
    "xiao2023trading", "inproceedings", "Xiao, Tim Z. and Bamler, Robert",
    "Trading Information between Latents in Hierarchical Variational Autoencoders",
    "International Conference on Learning Representations", 2023, "Xiao and Bamler",
)  # fmt: skip
R18 = _paper(
    "rosca2018distribution", "article", "Rosca, Mihaela and Lakshminarayanan, Balaji and Mohamed, Shakir",
    "Distribution Matching in Variational Inference", "arXiv:1802.06847", 2018, "Rosca et al.",
)  # fmt: skip
K19 = _paper(
    "kingma2019introduction", "article", "Kingma, Diederik P. and Welling, Max",
    "An Introduction to Variational Autoencoders", "Foundations and Trends in Machine Learning 12(4)", 2019,
    "Kingma and Welling",
)  # fmt: skip
C19 = _paper(
    "crescimanna2019variational", "article", "Crescimanna, Vincenzo and Graham, Bruce",
    "The Variational InfoMax AutoEncoder", "arXiv:1905.10549", 2019, "Crescimanna and Graham",
)  # fmt: skip
HIGGINS17 = _paper(
    "higgins2017beta", "inproceedings",
    "Higgins, Irina and Matthey, Loic and Pal, Arka and Burgess, Christopher and Glorot, Xavier and Botvinick, Matthew"
    " and Mohamed, Shakir and Lerchner, Alexander",
    "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
    "International Conference on Learning Representations", 2017, "Higgins et al.",
)  # fmt: skip
ALEMI17 = _paper(
    "alemi2017deep", "inproceedings",
    "Alemi, Alexander A. and Fischer, Ian and Dillon, Joshua V. and Murphy, Kevin", "Deep Variational Information Bottleneck",
    "International Conference on Learning Representations", 2017, "Alemi et al.",
)  # fmt: skip
BURDA16 = _paper(
    "burda2016importance", "inproceedings", "Burda, Yuri and Grosse, Roger and Salakhutdinov, Ruslan",
    "Importance Weighted Autoencoders", "International Conference on Learning Representations", 2016, "Burda et al.",
)  # fmt: skip
KINGMA14 = _paper(
    "kingma2014auto", "inproceedings", "Kingma, Diederik P. and Welling, Max", "Auto-Encoding Variational Bayes",
    "International Conference on Learning Representations", 2014, "Kingma and Welling",
)  # fmt: skip
BURGESS18 = _paper(
    "burgess2018understanding", "article",
    "Burgess, Christopher P. and Higgins, Irina and Pal, Arka and Matthey, Loic and Watters, Nick and Desjardins, Guillaume"
    " and Lerchner, Alexander",
    "Understanding disentangling in beta-VAE", "arXiv:1804.03599", 2018, "Burgess et al.",
)  # fmt: skip
REZENDE18 = _paper(
    "rezende2018taming", "article", "Rezende, Danilo Jimenez and Viola, Fabio", "Taming VAEs", "arXiv:1810.00597", 2018,
    "Rezende and Viola",
)  # fmt: skip
SHAO20 = _paper(
    "shao2020controlvae", "inproceedings",
    "Shao, Huajie and Yao, Shuochao and Sun, Dachun and Zhang, Aston and Liu, Shengzhong and Liu, Dongxin and Wang, Jun"
    " and Abdelzaher, Tarek",
    "ControlVAE: Controllable Variational Autoencoder", "International Conference on Machine Learning", 2020, "Shao et al.",
)  # fmt: skip
FU19 = _paper(
    "fu2019cyclical", "inproceedings",
    "Fu, Hao and Li, Chunyuan and Liu, Xiaodong and Gao, Jianfeng and Celikyilmaz, Asli and Carin, Lawrence",
    "Cyclical Annealing Schedule: A Simple Approach to Mitigating KL Vanishing",
    "North American Chapter of the Association for Computational Linguistics", 2019, "Fu et al.",
)  # fmt: skip
KINGMA15 = _paper(
    "kingma2015variational", "inproceedings", "Kingma, Diederik P. and Salimans, Tim and Welling, Max",
    "Variational Dropout and the Local Reparameterization Trick", "Advances in Neural Information Processing Systems", 2015,
    "Kingma et al.",
)  # fmt: skip
BLUNDELL15 = _paper(
    "blundell2015weight", "inproceedings",
    "Blundell, Charles and Cornebise, Julien and Kavukcuoglu, Koray and Wierstra, Daan", "Weight Uncertainty in Neural Networks",
    "International Conference on Machine Learning", 2015, "Blundell et al.",
)  # fmt: skip
KINGMA16 = _paper(
    "kingma2016improved", "inproceedings",
    "Kingma, Diederik P. and Salimans, Tim and Jozefowicz, Rafal and Chen, Xi and Sutskever, Ilya and Welling, Max",
    "Improved Variational Inference with Inverse Autoregressive Flow", "Advances in Neural Information Processing Systems",
    2016, "Kingma et al.",
)  # fmt: skip
ROEDER17 = _paper(
    "roeder2017sticking", "inproceedings", "Roeder, Geoffrey and Wu, Yuhuai and Duvenaud, David",
    "Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference",
    "Advances in Neural Information Processing Systems", 2017, "Roeder et al.",
)  # fmt: skip
TUCKER19 = _paper(
    "tucker2019doubly", "inproceedings", "Tucker, George and Lawson, Dieterich and Gu, Shixiang and Maddison, Chris J.",
    "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives",
    "International Conference on Learning Representations", 2019, "Tucker et al.",
)  # fmt: skip
LI16 = _paper(
    "li2016renyi", "inproceedings", "Li, Yingzhen and Turner, Richard E.", "Renyi Divergence Variational Inference",
    "Advances in Neural Information Processing Systems", 2016, "Li and Turner",
)  # fmt: skip
ZHAO17 = _paper(
    "zhao2017infovae", "article", "Zhao, Shengjia and Song, Jiaming and Ermon, Stefano",
    "InfoVAE: Information Maximizing Variational Autoencoders", "arXiv:1706.02262", 2017, "Zhao et al.",
)  # fmt: skip
TOLSTIKHIN18 = _paper(
    "tolstikhin2018wasserstein", "inproceedings",
    "Tolstikhin, Ilya and Bousquet, Olivier and Gelly, Sylvain and Schoelkopf, Bernhard", "Wasserstein Auto-Encoders",
    "International Conference on Learning Representations", 2018, "Tolstikhin et al.",
)  # fmt: skip
CHEN18 = _paper(
    "chen2018isolating", "inproceedings",
    "Chen, Ricky T. Q. and Li, Xuechen and Grosse, Roger and Duvenaud, David",
    "Isolating Sources of Disentanglement in Variational Autoencoders", "Advances in Neural Information Processing Systems",
    2018, "Chen et al.",
)  # fmt: skip
VINCENT08 = _paper(
    "vincent2008extracting", "inproceedings",
    "Vincent, Pascal and Larochelle, Hugo and Bengio, Yoshua and Manzagol, Pierre-Antoine",
    "Extracting and Composing Robust Features with Denoising Autoencoders", "International Conference on Machine Learning",
    2008, "Vincent et al.",
)  # fmt: skip
ISHIDA20 = _paper(
    "ishida2020flooding", "inproceedings",
    "Ishida, Takashi and Yamane, Ikko and Sakai, Tomoya and Niu, Gang and Sugiyama, Masashi",
    "Do We Need Zero Training Loss After Achieving Zero Training Error?", "International Conference on Machine Learning", 2020,
    "Ishida et al.",
)  # fmt: skip
WILLIAMS92 = _paper(
    "williams1992simple", "article", "Williams, Ronald J.",
    "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", "Machine Learning 8", 1992,
    "Williams",
)  # fmt: skip
NEAL11 = _paper(
    "neal2011mcmc", "article", "Neal, Radford M.", "MCMC Using Hamiltonian Dynamics", "Handbook of Markov Chain Monte Carlo", 2011, "Neal",
)  # fmt: skip
MNIH14 = _paper(
    "mnih2014neural", "inproceedings", "Mnih, Andriy and Gregor, Karol", "Neural Variational Inference and Learning in Belief Networks",
    "International Conference on Machine Learning", 2014, "Mnih and Gregor",
)  # fmt: skip
MNIH16 = _paper(
    "mnih2016variational", "inproceedings", "Mnih, Andriy and Rezende, Danilo Jimenez",
    "Variational Inference for Monte Carlo Objectives", "International Conference on Machine Learning", 2016,
    "Mnih and Rezende",
)  # fmt: skip
BAE23 = _paper(
    "bae2023multirate", "inproceedings",
    "Bae, Juhan and Zhang, Michael R. and Ruan, Michael and Wang, Eric and Hasegawa, So and Ba, Jimmy and Grosse, Roger",
    "Multi-Rate VAE: Train Once, Get the Full Rate-Distortion Curve", "International Conference on Learning Representations",
    2023, "Bae et al.",
)  # fmt: skip
GU16 = _paper(
    "gu2016muprop", "inproceedings", "Gu, Shixiang and Levine, Sergey and Sutskever, Ilya and Mnih, Andriy",
    "MuProp: Unbiased Backpropagation for Stochastic Neural Networks",
    "International Conference on Learning Representations", 2016, "Gu et al.",
)  # fmt: skip
NEAL01 = _paper(
    "neal2001annealed", "article", "Neal, Radford M.", "Annealed Importance Sampling", "Statistics and Computing 11", 2001, "Neal",
)  # fmt: skip
GROSSE15 = _paper(
    "grosse2015sandwiching", "article", "Grosse, Roger B. and Ghahramani, Zoubin and Adams, Ryan P.",
    "Sandwiching the Marginal Likelihood Using Bidirectional Monte Carlo", "arXiv:1511.02543", 2015, "Grosse et al.",
)  # fmt: skip
WU17 = _paper(
    "wu2017quantitative", "inproceedings", "Wu, Yuhuai and Burda, Yuri and Salakhutdinov, Ruslan and Grosse, Roger",
    "On the Quantitative Analysis of Decoder-Based Generative Models", "International Conference on Learning Representations",
    2017, "Wu et al.",
)  # fmt: skip
HUANG20 = _paper(
    "huang2020evaluating", "inproceedings", "Huang, Sicong and Makhzani, Alireza and Cao, Yanshuai and Grosse, Roger",
    "Evaluating Lossy Compression Rates of Deep Generative Models", "International Conference on Machine Learning", 2020,
    "Huang et al.",
)  # fmt: skip
PARZEN62 = _paper(
    "parzen1962estimation", "article", "Parzen, Emanuel", "On Estimation of a Probability Density Function and Mode",
    "The Annals of Mathematical Statistics 33", 1962, "Parzen",
)  # fmt: skip
HOFFMAN16 = _paper(
    "hoffman2016elbo", "misc", "Hoffman, Matthew D. and Johnson, Matthew J.",
    "ELBO Surgery: Yet Another Way to Carve up the Variational Evidence Lower Bound",
    "Workshop on Advances in Approximate Bayesian Inference, NIPS", 2016, "Hoffman and Johnson",
)  # fmt: skip
GAO17 = _paper(
    "gao2017estimating", "inproceedings", "Gao, Weihao and Kannan, Sreeram and Oh, Sewoong and Viswanath, Pramod",
    "Estimating Mutual Information for Discrete-Continuous Mixtures", "Advances in Neural Information Processing Systems", 2017,
    "Gao et al.",
)  # fmt: skip
MAKHZANI15 = _paper(
    "makhzani2015adversarial", "article",
    "Makhzani, Alireza and Shlens, Jonathon and Jaitly, Navdeep and Goodfellow, Ian and Frey, Brendan",
    "Adversarial Autoencoders", "arXiv:1511.05644", 2015, "Makhzani et al.",
)  # fmt: skip
GULRAJANI17 = _paper(
    "gulrajani2017improved", "inproceedings",
    "Gulrajani, Ishaan and Ahmed, Faruk and Arjovsky, Martin and Dumoulin, Vincent and Courville, Aaron",
    "Improved Training of Wasserstein GANs", "Advances in Neural Information Processing Systems", 2017, "Gulrajani et al.",
)  # fmt: skip
NGUYEN10 = _paper(
    "nguyen2010estimating", "article", "Nguyen, XuanLong and Wainwright, Martin J. and Jordan, Michael I.",
    "Estimating Divergence Functionals and the Likelihood Ratio by Convex Risk Minimization",
    "IEEE Transactions on Information Theory 56", 2010, "Nguyen et al.",
)  # fmt: skip
DONSKER83 = _paper(
    "donsker1983asymptotic", "article", "Donsker, Monroe D. and Varadhan, S. R. Srinivasa",
    "Asymptotic Evaluation of Certain Markov Process Expectations for Large Time. IV",
    "Communications on Pure and Applied Mathematics 36", 1983, "Donsker and Varadhan",
)  # fmt: skip
DANIHELKA17 = _paper(
    "danihelka2017comparison", "article",
    "Danihelka, Ivo and Lakshminarayanan, Balaji and Uria, Benigno and Wierstra, Daan and Dayan, Peter",
    "Comparison of Maximum Likelihood and GAN-based training of Real NVPs", "arXiv:1705.05263", 2017, "Danihelka et al.",
)  # fmt: skip
