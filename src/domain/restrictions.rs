//! Restrictions of a technical user's account: from which networks it may call, and on which of its
//! manager's structures. Without them it has all rights of its manager, from every address.

use std::{fmt, net::IpAddr, str::FromStr};

use thiserror::Error;

use super::structure_identifier::in_ascii;

/// The most networks of one account; also a check of its table.
pub const MOST_NETWORKS: usize = 32;
/// The most structures that can be chosen for one account.
pub const MOST_STRUCTURES: usize = 1000;

/// Where a call comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallerAddress {
    Known(IpAddr),
    /// A proxy wrote it in a way that cannot be read. It is in no network, and locks none.
    Unreadable,
    /// A service that was shown the credential did not say it.
    Untold,
}

impl From<IpAddr> for CallerAddress {
    /// `::` is no address of a caller: it stands for one that cannot be read.
    fn from(address: IpAddr) -> Self {
        if address.is_unspecified() { Self::Unreadable } else { Self::Known(address) }
    }
}

impl CallerAddress {
    /// The address, where it is known; one that maps IPv4 into IPv6 as IPv4.
    #[must_use]
    pub fn known(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address.to_canonical()),
            Self::Unreadable | Self::Untold => None,
        }
    }
}

/// From which addresses an account may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NetworkRule {
    #[default]
    Any,
    /// From none yet: the first address that calls becomes the list.
    LockOnFirstCall,
    Listed(Networks),
}

impl NetworkRule {
    /// The database's code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Any => "ANY",
            Self::LockOnFirstCall => "LOCK",
            Self::Listed(_) => "LIST",
        }
    }

    /// What the database holds: the code, and the networks in CIDR notation.
    #[must_use]
    pub fn from_stored(code: &str, networks: &[String]) -> Option<Self> {
        match code {
            "ANY" => Some(Self::Any),
            "LOCK" => Some(Self::LockOnFirstCall),
            "LIST" => Networks::of(networks.iter().map(|text| text.parse())).ok().map(Self::Listed),
            _ => None,
        }
    }

    /// Networks in CIDR notation; none where there is no list.
    #[must_use]
    pub fn cidrs(&self) -> Vec<String> {
        self.networks().iter().map(Network::cidr).collect()
    }

    /// The listed networks.
    #[must_use]
    pub fn networks(&self) -> &[Network] {
        match self {
            Self::Listed(networks) => &networks.0,
            Self::Any | Self::LockOnFirstCall => &[],
        }
    }

    /// Whether a call from this address is taken, as the rule stands. The database decides calls;
    /// this tells beforehand which ones a change refuses.
    #[must_use]
    pub fn admits(&self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::LockOnFirstCall => false,
            Self::Listed(networks) => networks.0.iter().any(|network| network.contains(address)),
        }
    }

    /// As the history and mails word it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Any => "toute adresse".into(),
            Self::LockOnFirstCall => "verrouillage sur la première adresse qui appelle".into(),
            Self::Listed(networks) => networks.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

/// Which structures of its manager an account opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StructureChoice {
    All,
    Chosen(ChosenIds),
}

impl StructureChoice {
    /// The chosen ones, by number.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        match self {
            Self::All => &[],
            Self::Chosen(ChosenIds(ids)) => ids,
        }
    }

    #[must_use]
    pub fn is_chosen(&self) -> bool {
        matches!(self, Self::Chosen(_))
    }
}

/// 1 to [`MOST_STRUCTURES`] structures, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenIds(Vec<i64>);

impl TryFrom<Vec<i64>> for ChosenIds {
    type Error = ChoiceError;

    fn try_from(mut ids: Vec<i64>) -> Result<Self, ChoiceError> {
        ids.sort_unstable();
        ids.dedup();
        match ids.len() {
            0 => Err(ChoiceError::None),
            1..=MOST_STRUCTURES => Ok(Self(ids)),
            _ => Err(ChoiceError::TooMany),
        }
    }
}

/// Why a choice of structures is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ChoiceError {
    #[error("Choisissez au moins une structure, ou «\u{202f}Toutes celles du gestionnaire principal\u{202f}».")]
    None,
    #[error("{MOST_STRUCTURES} structures au plus peuvent être choisies.")]
    TooMany,
}

/// 1 to [`MOST_NETWORKS`] networks, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Reads what was typed: one network on each line, or several with spaces, commas or semicolons
    /// between them.
    ///
    /// # Errors
    /// [`NetworkError`], in French.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let is_between = |letter: char| letter.is_whitespace() || letter == ',' || letter == ';';
        Self::of(text.split(is_between).filter(|word| !word.is_empty()).map(str::parse))
    }

    fn of(networks: impl Iterator<Item = Result<Network, NetworkError>>) -> Result<Self, NetworkError> {
        let mut kept: Vec<Network> = Vec::new();
        for network in networks {
            let network = network?;
            if kept.contains(&network) {
                continue;
            }
            if kept.len() == MOST_NETWORKS {
                return Err(NetworkError::TooMany);
            }
            kept.push(network);
        }
        if kept.is_empty() { Err(NetworkError::None) } else { Ok(Self(kept)) }
    }
}

/// Why a text is no list of networks.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    #[error("Saisissez au moins un réseau, ou choisissez «\u{202f}Toute adresse\u{202f}».")]
    None,
    #[error("La liste peut compter {MOST_NETWORKS} réseaux au plus. Regroupez des adresses voisines en un réseau.")]
    TooMany,
    #[error(
        "«\u{202f}{0}\u{202f}» n’est ni une adresse ni un réseau. Saisissez par exemple 192.0.2.7, 192.0.2.0/24 ou \
         2001:db8::/48."
    )]
    Unreadable(String),
    #[error(
        "«\u{202f}{typed}\u{202f}» n’est pas le début d’un réseau. Saisissez {network} pour le réseau entier, ou \
         {address} pour cette seule adresse."
    )]
    InsideANetwork { typed: String, network: Network, address: IpAddr },
}

/// A network in CIDR notation. Its address is its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// The number of leading bits that all its addresses share.
    prefix: u8,
}

impl Network {
    /// The network of one address.
    #[must_use]
    pub fn only(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: bits(address) }
    }

    /// The network of the first `prefix` bits of an address.
    fn around(address: IpAddr, prefix: u8) -> Self {
        let cut = |value: u128| u32::from(prefix).checked_sub(1).map_or(0, |last| value & !(u128::MAX >> 1 >> last));
        let address = match address {
            IpAddr::V4(v4) => {
                let kept = cut(u128::from(v4.to_bits()) << 96) >> 96;
                IpAddr::V4(u32::try_from(kept).unwrap_or_default().into())
            }
            IpAddr::V6(v6) => IpAddr::V6(cut(v6.to_bits()).into()),
        };
        Self { address, prefix }
    }

    /// Whether the address is in it. One that maps IPv4 into IPv6 is an IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self::around(address, self.prefix) == *self
    }

    /// Address and prefix, also of a single address.
    #[must_use]
    pub fn cidr(&self) -> String {
        format!("{}/{}", self.address, self.prefix)
    }
}

/// A single address without its prefix, for people.
impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == bits(self.address) { self.address.fmt(out) } else { out.write_str(&self.cidr()) }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(typed: &str) -> Result<Self, NetworkError> {
        let unreadable = || NetworkError::Unreadable(shortened(typed));
        let (address, prefix) = match typed.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (typed, None),
        };
        let written: IpAddr = address.parse().map_err(|_| unreadable())?;
        let prefix = match prefix {
            Some(prefix) => read_prefix(prefix).filter(|&prefix| prefix <= bits(written)).ok_or_else(unreadable)?,
            None => bits(written),
        };
        let address = written.to_canonical();
        // ::ffff:192.0.2.0/120 is 192.0.2.0/24.
        let mapped = bits(written) - bits(address);
        let network = match prefix.checked_sub(mapped) {
            Some(prefix) => Self::around(address, prefix),
            None => Self::around(written, prefix),
        };
        if network.address == address {
            return Ok(network);
        }
        Err(NetworkError::InsideANetwork { typed: shortened(typed), network, address })
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Digits alone, without a leading zero.
fn read_prefix(text: &str) -> Option<u8> {
    let is_plain = text == "0" || !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// The beginning of a text, for an error message.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// The most structures that a scope names one by one.
pub const MOST_SCOPE_STRUCTURES: usize = 20;

/// What a credential opens, as a `scope` (RFC 6749 §3.3). `chosen` are the structures within
/// the rights of an account whose structures were chosen, as `SIRET:21570004800014`; at least one
/// more than [`MOST_SCOPE_STRUCTURES`] where there are more. `None` for all of its manager's.
#[must_use]
pub fn scope(chosen: Option<&[String]>) -> String {
    let Some(chosen) = chosen else { return OPEN_SCOPE.to_owned() };
    let mut scope = format!("{OPEN_SCOPE} structures-choisies");
    if chosen.len() <= MOST_SCOPE_STRUCTURES {
        for structure in chosen {
            scope.extend([" structure:", &in_ascii(structure)]);
        }
    }
    scope
}

/// The scope of an account that has all its manager's structures.
pub const OPEN_SCOPE: &str = "openid";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<String, NetworkError> {
        text.parse::<Network>().map(|network| network.cidr())
    }

    #[test]
    fn a_network_is_read_as_people_write_it() {
        for (typed, means) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::7", "2001:db8::7/128"),
            ("2001:db8::/48", "2001:db8::/48"),
            ("::/0", "::/0"),
            // IPv4 in the clothes of IPv6.
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:c000:200/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(read(typed).as_deref(), Ok(means), "{typed}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused_in_words_that_help() {
        for typed in [
            "",
            "/",
            "192.0.2.7/",
            "192.0.2.0/33",
            "192.0.2.0/+24",
            "192.0.2.0/024",
            "192.0.2.0/-1",
            "192.0.2",
            "192.0.2.007",
            "192.0.2.0/24/8",
            "2001:db8::/129",
            "fe80::1%eth0",
            "exemple.fr",
            "192.0.2.0/255.255.255.0",
            "::ffff:192.0.2.0/129",
        ] {
            assert!(matches!(typed.parse::<Network>(), Err(NetworkError::Unreadable(_))), "{typed}");
        }
        let inside = |typed: &str| typed.parse::<Network>().unwrap_err().to_string().replace('\u{202f}', " ");
        assert_eq!(
            inside("192.0.2.7/24"),
            "« 192.0.2.7/24 » n’est pas le début d’un réseau. Saisissez 192.0.2.0/24 pour le réseau entier, ou 192.0.2.7 \
             pour cette seule adresse."
        );
        assert!(inside("2001:db8::7/64").contains("2001:db8::/64 pour le réseau entier"));
        assert!(inside("::ffff:192.0.2.7/120").contains("192.0.2.0/24 pour le réseau entier"));
        assert!(matches!("::ffff:0:0/90".parse::<Network>(), Err(NetworkError::InsideANetwork { .. })));
    }

    #[test]
    fn a_list_holds_each_network_once_and_32_at_most() {
        let list = Networks::parse("192.0.2.7\r\n 192.0.2.7/32, 2001:db8::/48;;\n").unwrap();
        assert_eq!(NetworkRule::Listed(list).words(), "192.0.2.7, 2001:db8::/48");
        assert_eq!(Networks::parse(" \n,"), Err(NetworkError::None));
        let typed = |count: u8| (0..count).map(|last| format!("192.0.2.{last}")).collect::<Vec<_>>().join("\n");
        assert!(Networks::parse(&typed(32)).is_ok());
        assert_eq!(Networks::parse(&typed(33)), Err(NetworkError::TooMany));
        assert!(Networks::parse("192.0.2.0/24\nx").is_err());
    }

    #[test]
    fn a_rule_says_which_calls_it_takes_and_is_read_back() {
        let listed = NetworkRule::Listed(Networks::parse("192.0.2.0/24 2001:db8::/48").unwrap());
        let admits = |rule: &NetworkRule, address: &str| rule.admits(address.parse().unwrap());
        assert!(
            admits(&listed, "192.0.2.255") && admits(&listed, "::ffff:192.0.2.1") && admits(&listed, "2001:db8:0:1::")
        );
        assert!(!admits(&listed, "192.0.3.0") && !admits(&listed, "2001:db8:1::") && !admits(&listed, "::192.0.2.1"));
        assert!(admits(&NetworkRule::Any, "::1") && !admits(&NetworkRule::LockOnFirstCall, "::1"));
        for rule in [NetworkRule::Any, NetworkRule::LockOnFirstCall, listed] {
            assert_eq!(NetworkRule::from_stored(rule.code(), &rule.cidrs()), Some(rule));
        }
        assert_eq!((NetworkRule::from_stored("LIST", &[]), NetworkRule::from_stored("?", &[])), (None, None));
    }

    #[test]
    fn a_scope_names_the_chosen_structures_while_they_are_few() {
        let names = |count: usize| (0..count).map(|n| format!("AUTRE:{n}")).collect::<Vec<_>>();
        assert_eq!(scope(None), "openid");
        assert_eq!(scope(Some(&[])), "openid structures-choisies");
        assert_eq!(scope(Some(&names(2))), "openid structures-choisies structure:AUTRE:0 structure:AUTRE:1");
        assert_eq!(scope(Some(&names(MOST_SCOPE_STRUCTURES + 1))), "openid structures-choisies");
    }

    proptest! {
        #[test]
        fn a_network_is_its_first_bits_and_is_read_back(
            address in any::<IpAddr>(), other in any::<IpAddr>(), prefix in 0..=128_u8, bit in 0..128_u32
        ) {
            let address = address.to_canonical();
            let prefix = prefix.min(bits(address));
            let network = Network::around(address, prefix);
            prop_assert_eq!(network.cidr().parse::<Network>(), Ok(network));
            prop_assert!(network.contains(address));
            prop_assert!(address.is_ipv4() == other.to_canonical().is_ipv4() || !network.contains(other));
            let flipped: IpAddr = match address {
                IpAddr::V4(v4) => std::net::Ipv4Addr::from(v4.to_bits() ^ (1 << (31 - bit % 32))).into(),
                IpAddr::V6(v6) => std::net::Ipv6Addr::from(v6.to_bits() ^ (1 << (127 - bit))).into(),
            };
            prop_assume!(flipped.to_canonical().is_ipv4() == address.is_ipv4());
            let bit = if address.is_ipv4() { bit % 32 } else { bit };
            prop_assert_eq!(network.contains(flipped), bit >= u32::from(prefix));
        }

        #[test]
        fn whatever_is_typed_reads_back_as_it_is_shown(text in "\\PC{0,40}|[0-9./:a-f ]{0,60}") {
            if let Ok(Networks(networks)) = Networks::parse(&text) {
                prop_assert!((1..=MOST_NETWORKS).contains(&networks.len()));
                let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
                prop_assert_eq!(Networks::parse(&shown.join("\n")), Ok(Networks(networks)));
            }
        }
    }
}
