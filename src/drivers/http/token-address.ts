import { ConfigError } from '../../core/errors.ts';

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/**
 * A token of a cloud is good for everything its owner may do there, to whoever reads it on its way.
 * @param name of the storage.
 * @throws ConfigError where it would be sent in clear to another machine.
 */
export function demandSafeAddress(name: string, endpoint: string): void {
  const { protocol, hostname } = new URL(endpoint);
  if (protocol === 'https:' || LOOPBACK.test(hostname)) return;
  throw new ConfigError(`Cannot send an access token to ${name} over http`, {
    hint: 'Use an https:// address, or a key instead of a token',
  });
}
