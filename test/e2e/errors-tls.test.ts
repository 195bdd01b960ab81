/** Rows of docs/errors.md about TLS, with an authority of the test's own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { type Certificate, makeCertificate } from '../../bench/support/certificate.ts';
import {
  ACCESS_KEY,
  type CopyOptions,
  copy,
  ENGINES,
  errorTests,
  type RowTest,
  SECRET_KEY,
} from '../support/error-tests.ts';
import { holdsTree, s3Url, startServer, treeUrl } from '../support/error-world.ts';
import { tempFolderFor } from '../support/temp.ts';

const DAY_MS = 24 * 3_600_000;
const AUTHORITY = makeCertificate({ names: ['authority.example'] });
const HERE = makeCertificate({ names: ['127.0.0.1', 'localhost'], issuer: AUTHORITY });
const ELSEWHERE = makeCertificate({ names: ['s3.example.com'], issuer: AUTHORITY });
const SELF_SIGNED = makeCertificate({ names: ['127.0.0.1'] });
const EXPIRED = makeCertificate({
  names: ['127.0.0.1'],
  issuer: AUTHORITY,
  notBefore: new Date(Date.now() - 400 * DAY_MS),
  notAfter: new Date(Date.now() - 10 * DAY_MS),
});
const TO_COME = makeCertificate({
  names: ['127.0.0.1'],
  issuer: AUTHORITY,
  notBefore: new Date(Date.now() + 10 * DAY_MS),
});

async function pemFile(t: TestContext, content: string): Promise<string> {
  const file = join(await tempFolderFor(t, 'pem'), 'ca.pem');
  await writeFile(file, content);
  return file;
}

/** A server with this certificate, and the test's authority trusted. */
function refused(certificate: Certificate): RowTest {
  return async (t, row) => {
    const { endpoint } = await startServer(t, { tls: certificate });
    const env = { AWS_CA_BUNDLE: await pemFile(t, AUTHORITY.cert) };
    const from = await treeUrl(t);
    for (const engine of ENGINES) row.check(await copy(t, from, s3Url(endpoint), { engine, env }));
  };
}

/** A right server, and AWS_CA_BUNDLE naming something else than a file of certificates. */
function badBundle(make: (t: TestContext) => Promise<string>): RowTest {
  return async (t, row) => {
    const { endpoint } = await startServer(t, { tls: HERE });
    const env = { AWS_CA_BUNDLE: await make(t) };
    const from = await treeUrl(t);
    for (const engine of ENGINES) row.check(await copy(t, from, s3Url(endpoint), { engine, env }));
    const skipping = await copy(t, from, s3Url(endpoint, { more: '&skipverify=true' }), { env });
    assert.equal(skipping.code, 0, skipping.stderr);
  };
}

errorTests(import.meta.filename, {
  'a certificate of a private authority': async (t, row) => {
    const from = await treeUrl(t);
    const file = await pemFile(t, AUTHORITY.cert);
    for (const engine of ENGINES) {
      const server = await startServer(t, { tls: HERE });
      row.check(await copy(t, from, s3Url(server.endpoint), { engine }));
      const yaml = join(await tempFolderFor(t, 'settings'), 'new.yml');
      const lines = [
        'bucket: bucket',
        `regionendpoint: ${server.endpoint}`,
        'rootdirectory: yaml',
        'skipverify: true',
      ];
      const keys = [`accesskey: ${ACCESS_KEY}`, `secretkey: ${SECRET_KEY}`];
      await writeFile(
        yaml,
        `storage:\n  s3:\n${[...lines, ...keys].map((line) => `    ${line}\n`).join('')}`,
      );
      const ways: readonly (readonly [string, string, CopyOptions['env']])[] = [
        ['node', s3Url(server.endpoint, { root: 'node' }), { NODE_EXTRA_CA_CERTS: file }],
        ['aws', s3Url(server.endpoint, { root: 'aws' }), { AWS_CA_BUNDLE: file }],
        ['url', s3Url(server.endpoint, { root: 'url', more: '&skipverify=true' }), {}],
        ['yaml', yaml, {}],
      ];
      for (const [root, to, env] of ways) {
        const result = await copy(t, from, to, { engine, ...(env ? { env } : {}) });
        assert.equal(result.code, 0, `${root}: ${result.stderr}`);
        assert.ok(await holdsTree(server, root), root);
      }
    }
  },
  'a self-signed certificate': refused(SELF_SIGNED),
  'a certificate of another name': refused(ELSEWHERE),
  'a certificate that has expired': refused(EXPIRED),
  'a certificate whose time has not come': refused(TO_COME),
  'https:// for a port that speaks plain HTTP': async (t, row) => {
    const server = createHttpServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const from = await treeUrl(t);
    for (const engine of ENGINES)
      row.check(await copy(t, from, s3Url(`https://127.0.0.1:${port}`), { engine }));
  },
  'http:// for a port that speaks TLS': async (t, row) => {
    const { port } = await startServer(t, { tls: HERE });
    const from = await treeUrl(t);
    for (const engine of ENGINES)
      row.check(await copy(t, from, s3Url(`http://127.0.0.1:${port}`), { engine }));
  },
  'a server that speaks nothing newer than TLS 1.1': async (t, row) => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    const server = createServer({ ...HERE, ...old });
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const from = await treeUrl(t);
    for (const engine of ENGINES)
      row.check(await copy(t, from, s3Url(`https://127.0.0.1:${port}`), { engine }));
  },
  'AWS_CA_BUNDLE that names no file': badBundle(async (t) =>
    join(await tempFolderFor(t, 'pem'), 'missing.pem'),
  ),
  'AWS_CA_BUNDLE that names a folder': badBundle((t) => tempFolderFor(t, 'pem')),
  'AWS_CA_BUNDLE that names an empty file': badBundle((t) => pemFile(t, '\n')),
  'AWS_CA_BUNDLE that names a file without certificates': badBundle((t) => pemFile(t, HERE.key)),
  'AWS_CA_BUNDLE that names a broken certificate': badBundle((t) =>
    pemFile(t, AUTHORITY.cert.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA')),
  ),
  'AWS_CA_BUNDLE of another authority': async (t, row) => {
    const { endpoint } = await startServer(t, { tls: HERE });
    const other = makeCertificate({ names: ['other.example'] });
    const env = { AWS_CA_BUNDLE: await pemFile(t, other.cert) };
    const from = await treeUrl(t);
    for (const engine of ENGINES) row.check(await copy(t, from, s3Url(endpoint), { engine, env }));
  },
  'NODE_EXTRA_CA_CERTS that names no file': async (t, row) => {
    const { endpoint } = await startServer(t, { tls: HERE });
    const env = { NODE_EXTRA_CA_CERTS: join(await tempFolderFor(t, 'pem'), 'missing.pem') };
    row.check(await copy(t, await treeUrl(t), s3Url(endpoint), { env }));
  },
});
