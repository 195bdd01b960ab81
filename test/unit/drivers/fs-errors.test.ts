import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StorageError } from '../../../src/core/errors.ts';
import { codeOf, fromErrno, hasCode, KNOWN_CODES, refusal } from '../../../src/drivers/fs/fs-errors.ts';

const context = { backend: 'file:///srv/registry', operation: 'write', key: 'a/b' } as const;

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: something happened, open '/srv/registry/a/b'`), {
    code,
    errno: -1,
  });
}

function mapped(code: string): StorageError {
  const error = fromErrno(context, errno(code));
  assert.ok(error instanceof StorageError);
  return error;
}

/** kind, may it pass, and does it end the run; asked for code by code, since a copy decides by them. */
const EXPECTED: Readonly<Record<string, readonly [kind: string, isTransient: boolean, scope: string]>> = {
  ENOENT: ['not-found', false, 'object'],
  ENOTDIR: ['not-found', false, 'object'],
  EISDIR: ['not-found', false, 'object'],
  EACCES: ['denied', false, 'object'],
  EPERM: ['denied', false, 'object'],
  ELOOP: ['denied', false, 'object'],
  ENAMETOOLONG: ['invalid-name', false, 'object'],
  EILSEQ: ['invalid-name', false, 'object'],
  EFBIG: ['unsupported', false, 'object'],
  EMLINK: ['unsupported', false, 'object'],
  ENXIO: ['unsupported', false, 'object'],
  ENODEV: ['unavailable', false, 'object'],
  EXDEV: ['unsupported', false, 'backend'],
  ENOSPC: ['no-space', false, 'backend'],
  EDQUOT: ['no-space', false, 'backend'],
  EROFS: ['denied', false, 'backend'],
  ENOTCONN: ['unavailable', false, 'backend'],
  EIO: ['unavailable', true, 'object'],
  ESTALE: ['unavailable', true, 'object'],
  EAGAIN: ['unavailable', true, 'object'],
  EBUSY: ['unavailable', true, 'object'],
  EINTR: ['unavailable', true, 'object'],
  ENOMEM: ['unavailable', true, 'object'],
  EMFILE: ['unavailable', true, 'object'],
  ENFILE: ['unavailable', true, 'object'],
  ETIMEDOUT: ['timeout', true, 'object'],
  ECONNREFUSED: ['unavailable', true, 'object'],
  ECONNRESET: ['unavailable', true, 'object'],
  ECONNABORTED: ['unavailable', true, 'object'],
  EHOSTDOWN: ['unavailable', true, 'object'],
  EHOSTUNREACH: ['unavailable', true, 'object'],
  ENETDOWN: ['unavailable', true, 'object'],
  ENETUNREACH: ['unavailable', true, 'object'],
  EREMOTEIO: ['unavailable', true, 'object'],
  ENOLCK: ['unavailable', true, 'object'],
  ESHUTDOWN: ['unavailable', false, 'backend'],
  EBADMSG: ['corrupt', false, 'object'],
  EUCLEAN: ['corrupt', false, 'object'],
  EKEYEXPIRED: ['denied', false, 'backend'],
  ENOKEY: ['denied', false, 'backend'],
};

describe('fromErrno()', () => {
  it('knows the codes of this table and no others', () => {
    assert.deepEqual([...KNOWN_CODES].sort(), Object.keys(EXPECTED).sort());
  });

  for (const [code, [kind, isTransient, scope]] of Object.entries(EXPECTED)) {
    it(`takes ${code} for ${kind}${isTransient ? ', which may pass' : ''}${scope === 'backend' ? ', of all objects' : ''}`, () => {
      const error = mapped(code);
      const { backend, operation } = context;
      assert.deepEqual(error.details, {
        kind,
        backend,
        operation,
        key: 'a/b',
        backendCode: code,
        isTransient,
        scope,
      });
      assert.match(
        error.message,
        new RegExp(`^Cannot write "a/b" in file:///srv/registry: .{15,} \\(${code}\\)$`),
      );
      if (kind !== 'not-found') assert.ok((error.hint ?? '').length > 15, 'it says what to do');
      assert.equal(codeOf(error.cause), code);
    });
  }

  it('takes a code it does not know for unexpected, and names it', () => {
    const error = mapped('EWEIRD');
    assert.equal(error.kind, 'unexpected');
    assert.match(error.message, /EWEIRD/);
  });

  it('knows the codes that Node has no name for', () => {
    for (const [number, name] of [
      [116, 'ESTALE'],
      [122, 'EDQUOT'],
      [117, 'EUCLEAN'],
      [127, 'EKEYEXPIRED'],
    ] as const) {
      const error = mapped(`Unknown system error -${number}`);
      assert.equal(error.details.backendCode, name);
      assert.equal(error.kind, EXPECTED[name]?.[0]);
    }
    assert.equal(mapped('Unknown system error -99999').kind, 'unexpected');
  });

  it('knows them by their number where Node says no more than UNKNOWN', () => {
    for (const [errno, name] of [
      [-116, 'ESTALE'],
      [-122, 'EDQUOT'],
      [-99_999, 'UNKNOWN'],
    ] as const) {
      const raw = Object.assign(new Error('UNKNOWN: unknown error, write'), { code: 'UNKNOWN', errno });
      const error = fromErrno(context, raw);
      assert.ok(error instanceof StorageError);
      assert.deepEqual([error.details.backendCode, error.kind], [name, EXPECTED[name]?.[0] ?? 'unexpected']);
    }
  });

  it('leaves alone what is not an error of the file system', () => {
    const reason = new DOMException('stopped', 'AbortError');
    const ours = refusal(context, { kind: 'corrupt', sentence: 'it is too short' });
    const notErrno = Object.assign(new Error('bad argument'), { code: 'ERR_INVALID_ARG_TYPE' });
    for (const error of [reason, ours, notErrno, new Error('plain'), 'text', undefined]) {
      assert.equal(fromErrno(context, error), error);
    }
  });

  it('speaks of the whole backend where no key is meant', () => {
    const error = fromErrno({ backend: 'file:///srv', operation: 'flush' }, errno('EIO'));
    assert.ok(error instanceof StorageError);
    assert.match(error.message, /^Cannot make durable file:\/\/\/srv: /);
    assert.ok(!('key' in error.details));
  });
});

describe('hasCode()', () => {
  it('knows a code among several, and nothing in what is no error', () => {
    assert.ok(hasCode(errno('EEXIST'), 'ENOENT', 'EEXIST'));
    assert.ok(!hasCode(errno('EEXIST'), 'ENOENT'));
    assert.ok(!hasCode({ code: 'ENOENT' }, 'ENOENT'));
    assert.equal(codeOf(undefined), undefined);
  });
});
