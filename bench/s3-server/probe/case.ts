/** A question put to a server, and how its answer is written down so that two servers can be compared. */
import type { RawClient, RawResponse } from '../client/raw-client.ts';

export interface ProbeContext {
  readonly client: RawClient;
  /** A bucket of this run's own. */
  readonly bucket: string;
  /** `/bucket/` and an escaped key of this case's own. */
  path(key?: string): string;
}

export interface ProbeCase {
  readonly name: string;
  run(context: ProbeContext): Promise<string>;
}

/** `200`, or `400 BadDigest`. */
export function outcome(response: RawResponse): string {
  return response.code === '' ? String(response.status) : `${response.status} ${response.code}`;
}

/** Several answers in a row. */
export async function sequence(steps: readonly (() => Promise<RawResponse | string>)[]): Promise<string> {
  const outcomes: string[] = [];
  for (const step of steps) {
    const result = await step();
    outcomes.push(typeof result === 'string' ? result : outcome(result));
  }
  return outcomes.join(', ');
}

export function headerList(response: RawResponse, pattern: RegExp): string {
  const found = Object.entries(response.headers).filter(([name]) => pattern.test(name));
  return found
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(' ');
}

/** As above, of a success only: what errors carry besides differs everywhere. */
export function told(response: RawResponse, pattern: RegExp): string {
  return response.status < 300 ? headerList(response, pattern) : '';
}

export function elements(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map((match) => match[1] ?? '');
}
