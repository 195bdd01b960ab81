/** The fake of Cloud Storage as the command line meets it: tokens by workload identity, from a local address. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type GcsFake, type GcsFakeOptions, startGcsFake } from './gcs-fake.ts';
import { type Afterwards, tempFolderFor } from './temp.ts';

const SUBJECT = 'subject-token-of-the-workload';

export interface GcsCliWorld {
  readonly fake: GcsFake;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  /** What is given out from now on. */
  token: string;
  /** How often a token was given out. */
  logIns: number;
  url(root: string): string;
}

/** https://google.aip.dev/auth/4117: an external account exchanges a token of its own for one of Google's. */
async function startTokenServer(t: Afterwards, give: () => string): Promise<string> {
  const server = createServer(async (request, response) => {
    let form = '';
    for await (const piece of request) form += piece;
    const isRight = new URLSearchParams(form).get('subject_token') === SUBJECT;
    response.statusCode = isRight ? 200 : 400;
    response.setHeader('content-type', 'application/json');
    const given = () => ({
      access_token: give(),
      token_type: 'Bearer',
      expires_in: 3_600,
      issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    });
    response.end(JSON.stringify(isRight ? given() : { error: 'invalid_grant' }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
}

export async function gcsCliWorldFor(t: Afterwards, options: GcsFakeOptions = {}): Promise<GcsCliWorld> {
  const fake = await startGcsFake(options);
  t.after(() => fake.close());
  const folder = await tempFolderFor(t, 'gcs');
  await writeFile(join(folder, 'subject'), SUBJECT);
  const world: GcsCliWorld = {
    fake,
    folder,
    token: 'token',
    logIns: 0,
    env: { GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'account.json') },
    url: (root) => `gs://bucket/${root}?endpoint=${fake.endpoint}`,
  };
  const account = {
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: await startTokenServer(t, () => {
      world.logIns += 1;
      return world.token;
    }),
    credential_source: { file: join(folder, 'subject') },
  };
  await writeFile(join(folder, 'account.json'), JSON.stringify(account));
  return world;
}
