/**
 * Puts the same questions to S3 servers and compares their answers:
 *   node bench/s3-server/probe/probe.ts ENDPOINT            prints one JSON object, case by case
 *   node bench/s3-server/probe/probe.ts ENDPOINT --against ceph-20.json    prints what differs
 * Key `testkey`, secret `testsecret`. It makes a bucket of its own and leaves it behind, as servers differ in deletion too.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { RawClient } from '../client/raw-client.ts';
import { encode } from '../client/sign-request.ts';
import type { ProbeCase } from './case.ts';
import { LIST_CASES } from './list-cases.ts';
import { MULTIPART_CASES } from './multipart-cases.ts';
import { OBJECT_CASES } from './object-cases.ts';
import { PAYLOAD_CASES } from './payload-cases.ts';
import { SIGNATURE_CASES } from './signature-cases.ts';

export const PROBE_CASES: readonly ProbeCase[] = [
  ...SIGNATURE_CASES,
  ...PAYLOAD_CASES,
  ...OBJECT_CASES,
  ...LIST_CASES,
  ...MULTIPART_CASES,
];

export type ProbeResults = Readonly<Record<string, string>>;

export async function runProbe(endpoint: string): Promise<ProbeResults> {
  const client = new RawClient(endpoint);
  const bucket = `probe-${Date.now().toString(36)}`;
  const results: Record<string, string> = {};
  try {
    await client.send({ method: 'PUT', target: `/${bucket}` });
    for (const [index, one] of PROBE_CASES.entries()) {
      const path = (key = 'object'): string =>
        `/${bucket}/case-${index}/${key.split('/').map(encode).join('/')}`;
      try {
        results[one.name] = await one.run({ client, bucket, path });
      } catch (error) {
        results[one.name] = `failed: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
  } finally {
    client.close();
  }
  return results;
}

export interface Difference {
  readonly name: string;
  readonly here: string;
  readonly there: string;
}

export function differences(here: ProbeResults, there: ProbeResults): readonly Difference[] {
  return PROBE_CASES.map(({ name }) => ({ name, here: here[name] ?? '', there: there[name] ?? '' })).filter(
    (one) => one.here !== one.there,
  );
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { against: { type: 'string' } },
  });
  const [endpoint] = positionals;
  if (endpoint === undefined) throw new Error('Which endpoint? Such as http://127.0.0.1:18100');
  const results = await runProbe(endpoint);
  if (values.against === undefined) {
    process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  } else {
    const there = JSON.parse(readFileSync(values.against, 'utf8')) as ProbeResults;
    for (const one of differences(results, there)) {
      process.stdout.write(`${one.name}\n  here:  ${one.here}\n  there: ${one.there}\n`);
    }
  }
}
