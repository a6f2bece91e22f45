import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Addresses that are not of the public internet (IANA's special-purpose registries, RFC 6890 and its successors). */
const RESERVED: readonly (readonly [network: string, prefix: number, family: 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['192.88.99.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 4, 'ipv4'],
  ['240.0.0.0', 4, 'ipv4'],
];

/** Of IPv6 only global unicast is public, and of that not the documentation, benchmark and tunnel networks. */
const GLOBAL_UNICAST = new BlockList();
GLOBAL_UNICAST.addSubnet('2000::', 3, 'ipv6');
const NOT_PUBLIC = new BlockList();
for (const [network, prefix, family] of RESERVED) NOT_PUBLIC.addSubnet(network, prefix, family);
// Teredo, 6to4 and ORCHID carry other addresses inside, private ones among them.
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  NOT_PUBLIC.addSubnet(network, prefix, 'ipv6');
}

/** Whether an address belongs to the public internet; IPv4 in IPv6 does not count, whatever is inside. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !NOT_PUBLIC.check(address, 'ipv4');
  return (
    isIPv6(address) &&
    !address.includes('%') &&
    GLOBAL_UNICAST.check(address, 'ipv6') &&
    !NOT_PUBLIC.check(address, 'ipv6')
  );
}
