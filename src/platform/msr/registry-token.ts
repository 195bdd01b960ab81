/** Tokens for `/v2/`: what the challenge of a 401 asks for, from the server itself and nobody else. */
import { z } from 'zod';
import type { MsrConnection } from './msr-connection.ts';

const TOKEN = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/**
 * https://distribution.github.io/distribution/spec/auth/token/: the challenge names where a token is to be had.
 * @param challenge the header `www-authenticate`.
 * @returns undefined where the credentials cannot be used for it: they are for this server and go nowhere else.
 */
export async function bearerFor(
  msr: MsrConnection,
  signal: AbortSignal,
  challenge: string,
): Promise<{ readonly bearer: string } | undefined> {
  if (!/^Bearer\s/i.test(challenge)) return undefined;
  const field = (name: string): string | undefined =>
    new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(challenge)?.[1];
  const realm = URL.parse(field('realm') ?? '');
  if (realm?.origin !== msr.name) return undefined;
  const query: Record<string, string> = Object.fromEntries(realm.searchParams);
  for (const name of ['service', 'scope']) {
    const value = field(name);
    if (value !== undefined) query[name] = value;
  }
  const operation = 'get a token for the registry';
  const answer = await msr.send(signal, { method: 'GET', operation, path: realm.pathname, query });
  const { token, access_token } = answer.read(TOKEN);
  const bearer = token ?? access_token;
  if (bearer === undefined || !/^[\w.~+/=-]+$/.test(bearer)) return undefined;
  msr.learnSecrets([bearer]);
  return { bearer };
}
