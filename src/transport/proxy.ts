/** Which proxy, if any, stands between this process and a server. Settings are plain records: they cross threads. */
import { BlockList, isIP } from 'node:net';
import { isSameAddress, type Origin } from './http-types.ts';

export interface HttpProxy {
  /** The proxy itself is spoken to over TLS. */
  readonly isTls: boolean;
  readonly host: string;
  readonly port: number;
  /** Value of the Proxy-Authorization header; a secret. */
  readonly authorization?: string;
  /** `http://host:port`, for messages. */
  readonly name: string;
}

/** What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say. */
export interface ProxySettings {
  /** For servers that are spoken to over TLS. */
  readonly https?: HttpProxy;
  /** For all others. */
  readonly http?: HttpProxy;
  /** Hosts that are reached without a proxy, as NO_PROXY lists them. */
  readonly exceptions: string;
}

/**
 * The proxy to reach this server by. Exceptions are what curl takes: names stand for themselves and for everything
 * below them, with or without a dot or `*.` in front; a port restricts an entry to that port; `*` is everything.
 * Addresses are compared as addresses, and ranges (`10.0.0.0/8`) hold them.
 */
export function proxyFor(origin: Origin, settings: ProxySettings | undefined): HttpProxy | undefined {
  const proxy = origin.isTls ? settings?.https : settings?.http;
  return proxy && settings && !isException(origin, settings.exceptions) ? proxy : undefined;
}

function isException({ host, port }: Origin, exceptions: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return exceptions
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== '' && isMatch(name, port, entry));
}

function isMatch(host: string, port: number, entry: string): boolean {
  if (entry === '*') return true;
  if (isIP(host) !== 0 && entry.includes('/')) return isInRange(host, entry);
  // Only one colon separates a port; an IPv6 address has more, and brackets where it brings a port.
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [];
  if (portText !== undefined && Number(portText) !== port) return false;
  const text = bracketed ?? plain ?? entry;
  if (isIP(host) !== 0) return isSameAddress(host, text);
  const suffix = text.replace(/^\*?\./, '').replace(/\.$/, '');
  return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`));
}

function isInRange(address: string, range: string): boolean {
  const [network = '', bits = ''] = range.split('/');
  const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
  if (isIP(network) === 0 || isIP(network) !== isIP(address) || !/^\d{1,3}$/.test(bits)) return false;
  if (Number(bits) > (family === 'ipv6' ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list.check(address, family);
}
