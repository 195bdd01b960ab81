/** Access tokens (RFC 6750) of services that know who asks by such: whoever gives them out, and what they are to a driver. */
import type { Perishable } from './http/credential-keeper.ts';

export interface AccessToken extends Perishable {
  readonly token: string;
}

/** A new one at each call, or the same where whoever gives them out has no other yet. Rejects with a StorageError. */
export type TokenSource = () => Promise<AccessToken>;
