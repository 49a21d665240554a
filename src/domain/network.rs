//! Client networks, as throttling counts them.

use std::net::IpAddr;

/// How wide a network is, for limits that grow with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    /// What one subscriber usually has: /24 in IPv4, /64 in IPv6.
    Narrow,
    /// /56 in IPv6: what many providers give to one household.
    Wide,
    /// /48 in IPv6: what one subscriber can have for a site.
    Widest,
}

/// A network of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub breadth: Breadth,
    pub name: String,
}

/// The narrowest network of an address. Throttling is per network, so that a flood from one does
/// not lock the owner out on another.
#[must_use]
pub fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// The /24 of an IPv4 address, the /48 of an IPv6 address: whoever has one network can have all
/// that are in it. Shares of the service are per site.
#[must_use]
pub fn site_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        v4 @ IpAddr::V4(_) => network_of(v4),
    }
}

/// The networks of an address that are counted, narrowest first: /24 in IPv4; /64, /56 and /48 in
/// IPv6, where one who has a /48 has 65,536 of /64.
#[must_use]
pub fn networks_of(address: IpAddr) -> Vec<Network> {
    let mut networks = vec![Network { breadth: Breadth::Narrow, name: network_of(address) }];
    if let IpAddr::V6(v6) = address.to_canonical() {
        let [a, b, c, d, ..] = v6.segments();
        let wide = format!("{a:x}:{b:x}:{c:x}:{:x}::/56", d & 0xff00);
        networks.push(Network { breadth: Breadth::Wide, name: wide });
        networks.push(Network { breadth: Breadth::Widest, name: format!("{a:x}:{b:x}:{c:x}::/48") });
    }
    networks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_share_a_network() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.9"), of("192.0.2.7"));
        assert_eq!(of("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_ne!(of("192.0.3.7"), of("192.0.2.7"));
    }

    #[test]
    fn a_subscriber_s_networks_are_one_site() {
        let of = |text: &str| site_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:ffff::4"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
        assert_eq!((of("192.0.2.7"), of("::ffff:192.0.2.9")), ("192.0.2.0/24".into(), "192.0.2.0/24".into()));
    }

    #[test]
    fn an_ipv6_address_is_counted_in_three_networks_and_an_ipv4_address_in_one() {
        let names = |text: &str| -> Vec<String> {
            networks_of(text.parse().unwrap()).into_iter().map(|network| network.name).collect()
        };
        assert_eq!(names("192.0.2.7"), ["192.0.2.0/24"]);
        assert_eq!(names("::ffff:192.0.2.9"), ["192.0.2.0/24"]);
        assert_eq!(names("2001:db8:1:a2b3:3::4"), ["2001:db8:1:a2b3::/64", "2001:db8:1:a200::/56", "2001:db8:1::/48"]);
        let networks = networks_of("2001:db8::1".parse().unwrap());
        assert!(networks.is_sorted_by(|one, next| one.breadth < next.breadth));
    }

    proptest! {
        #[test]
        fn a_network_is_the_first_bits_and_no_others(address in any::<(u128, u32)>(), bit in 0_u32..128) {
            let (v6, v4) = address;
            let of = |address: u128| network_of(std::net::Ipv6Addr::from(address).into());
            // ::ffff:0:0/96 is IPv4-mapped.
            let other = v6 ^ (1_u128 << bit);
            prop_assume!(v6.leading_zeros() < 80 && other.leading_zeros() < 80);
            prop_assert_eq!(of(v6) == of(other), bit < 64);
            let shared = networks_of(std::net::Ipv6Addr::from(v6).into()).into_iter()
                .filter(|network| networks_of(std::net::Ipv6Addr::from(other).into()).contains(network))
                .count();
            prop_assert_eq!(shared, [64, 72, 80].into_iter().filter(|&from| bit < from).count());
            let of = |address: u32| network_of(std::net::Ipv4Addr::from(address).into());
            prop_assert_eq!(of(v4) == of(v4 ^ (1_u32 << (bit % 32))), bit % 32 < 8);
            prop_assert_eq!(network_of(std::net::Ipv4Addr::from(v4).to_ipv6_mapped().into()), of(v4));
        }
    }
}
