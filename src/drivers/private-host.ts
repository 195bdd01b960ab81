/** Hosts that only this machine or its own network comes to. */
import { BlockList, isIP } from 'node:net';

/** RFC 1918, 6598, 3927, 4193, 4291, and this machine itself. */
const PRIVATE = new BlockList();
for (const [net, bits] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['127.0.0.0', 8],
] as const)
  PRIVATE.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of [
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
] as const)
  PRIVATE.addSubnet(net, bits, 'ipv6');

/**
 * Only what its address alone shows: a name with dots may be of a private network as well.
 * @param address a URL.
 */
export function isPrivateAddress(address: string): boolean {
  const host = URL.parse(address)?.hostname.replace(/^\[|\]$/g, '') ?? '';
  const family = isIP(host);
  if (family === 0) return !host.includes('.') || /\.(?:local|internal|localhost)$/i.test(host);
  return PRIVATE.check(host, family === 6 ? 'ipv6' : 'ipv4');
}
