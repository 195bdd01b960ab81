import { encode, presign, TEST_SIGNER } from '../client/sign-request.ts';
import { outcome, type ProbeCase, type ProbeContext, sequence } from './case.ts';

const MINUTE = 60_000;

async function presigned(
  context: ProbeContext,
  options: {
    readonly method: string;
    readonly expiresSeconds: number;
    readonly atMs?: number;
    readonly body?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly secret?: string;
  },
): Promise<string> {
  const target = context.path();
  await context.client.send({ method: 'PUT', target, body: 'hello' });
  const url = presign(
    { ...TEST_SIGNER, secretAccessKey: options.secret ?? TEST_SIGNER.secretAccessKey },
    {
      method: options.method,
      host: context.client.endpoint.host,
      target,
      expiresSeconds: options.expiresSeconds,
      ...(options.atMs === undefined ? {} : { atMs: options.atMs }),
    },
  );
  const response = await context.client.send({
    method: options.method,
    target: url,
    isSigned: false,
    body: options.body ?? '',
    ...(options.headers ? { unsignedHeaders: options.headers } : {}),
  });
  return outcome(response);
}

export const SIGNATURE_CASES: readonly ProbeCase[] = [
  {
    name: 'signature: wrong secret',
    run: async ({ client, bucket }) =>
      outcome(
        await client.send({ target: `/${bucket}`, signer: { ...TEST_SIGNER, secretAccessKey: 'wrong' } }),
      ),
  },
  {
    name: 'signature: unknown key',
    run: async ({ client, bucket }) =>
      outcome(await client.send({ target: `/${bucket}`, signer: { ...TEST_SIGNER, accessKeyId: 'nobody' } })),
  },
  {
    name: 'signature: none at all',
    run: async ({ client, bucket }) => outcome(await client.send({ target: `/${bucket}`, isSigned: false })),
  },
  {
    name: 'signature: clock 14 and 16 minutes behind',
    run: ({ client, bucket }) =>
      sequence(
        [14, 16].map((m) => () => client.send({ target: `/${bucket}`, atMs: Date.now() - m * MINUTE })),
      ),
  },
  {
    name: 'signature: clock 14 and 16 minutes ahead',
    run: ({ client, bucket }) =>
      sequence(
        [14, 16].map((m) => () => client.send({ target: `/${bucket}`, atMs: Date.now() + m * MINUTE })),
      ),
  },
  {
    name: 'signature: another region',
    run: async ({ client, bucket }) =>
      outcome(await client.send({ target: `/${bucket}`, signer: { ...TEST_SIGNER, region: 'eu-west-9' } })),
  },
  {
    name: 'signature: x-amz-meta field that is not signed',
    run: async ({ client, path }) =>
      outcome(
        await client.send({
          method: 'PUT',
          target: path(),
          body: 'x',
          unsignedHeaders: { 'x-amz-meta-a': 'b' },
        }),
      ),
  },
  {
    name: 'signature: Content-Type that is not signed',
    run: async ({ client, path }) =>
      outcome(
        await client.send({
          method: 'PUT',
          target: path(),
          body: 'x',
          unsignedHeaders: { 'content-type': 'a/b' },
        }),
      ),
  },
  {
    name: 'signature: signed field changed',
    run: async ({ client, path }) =>
      outcome(
        await client.send({
          method: 'PUT',
          target: path(),
          body: 'x',
          headers: { 'x-amz-meta-a': 'b' },
          unsignedHeaders: { 'x-amz-meta-a': 'c' },
        }),
      ),
  },
  {
    name: 'signature: field with runs of spaces',
    run: async ({ client, path }) =>
      outcome(
        await client.send({ method: 'PUT', target: path(), body: 'x', headers: { 'x-amz-meta-a': 'b   c' } }),
      ),
  },
  {
    name: 'signature: query in any order',
    run: async ({ client, bucket }) =>
      outcome(await client.send({ target: `/${bucket}?prefix=z&list-type=2&delimiter=%2F&max-keys=3` })),
  },
  {
    name: 'signature: no x-amz-content-sha256',
    run: async ({ client, path }) =>
      outcome(await client.send({ method: 'PUT', target: path(), body: 'x', hidesPayloadHash: true })),
  },
  {
    name: 'signature: malformed Authorization',
    run: async ({ client, bucket }) =>
      outcome(
        await client.send({
          target: `/${bucket}`,
          isSigned: false,
          unsignedHeaders: { authorization: 'AWS4-HMAC-SHA256 nonsense' },
        }),
      ),
  },
  {
    name: 'signature: odd keys',
    run: ({ client, path }) =>
      sequence(
        ['a b', 'a+b', 'a%b', "a'b(c)!*", 'ü€😀', 'a//b', 'a&b=c?d', 'a~b_c-d.e', 'a:b@c;d,e', 'a\\b'].map(
          (key) => async () =>
            client.send({ method: 'PUT', target: path() + encode(key).replaceAll('%2F', '/'), body: 'x' }),
        ),
      ),
  },
  { name: 'presigned: GET', run: (context) => presigned(context, { method: 'GET', expiresSeconds: 60 }) },
  {
    name: 'presigned: PUT with an unsigned Content-Type',
    run: (context) =>
      presigned(context, {
        method: 'PUT',
        expiresSeconds: 60,
        body: 'x',
        headers: { 'content-type': 'a/b' },
      }),
  },
  {
    name: 'presigned: PUT',
    run: (context) => presigned(context, { method: 'PUT', expiresSeconds: 60, body: 'x' }),
  },
  {
    name: 'presigned: expired',
    run: (context) =>
      presigned(context, { method: 'GET', expiresSeconds: 60, atMs: Date.now() - 2 * MINUTE }),
  },
  {
    name: 'presigned: valid for 8 days',
    run: (context) => presigned(context, { method: 'GET', expiresSeconds: 8 * 86_400 }),
  },
  {
    name: 'presigned: wrong secret',
    run: (context) => presigned(context, { method: 'GET', expiresSeconds: 60, secret: 'wrong' }),
  },
];
