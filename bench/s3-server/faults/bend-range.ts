/** The fault `wrong-range`: as many bytes as were asked for, from elsewhere in the object. */
import type { Response } from '../s3/operation.ts';
import type { RequestFaults } from './fault-engine.ts';

export function bendRange(response: Response, faults: RequestFaults): Response {
  const fault = faults.peek('wrong-range');
  const { body } = response;
  if (!fault || response.status !== 206 || typeof body !== 'object') return response;
  const total = body.content.sizeBytes;
  const bytes = body.end - body.start;
  const start = Math.min(Math.max(0, body.start + fault.shiftBytes), total - bytes);
  if (start === body.start) return response;
  faults.use('wrong-range');
  const moved = { ...response, body: { ...body, start, end: start + bytes } };
  if (fault.how === 'silent') return moved;
  const headers = response.headers.map(([name, value]): readonly [string, string] =>
    name === 'Content-Range' ? [name, `bytes ${start}-${start + bytes - 1}/${total}`] : [name, value],
  );
  return { ...moved, headers };
}
