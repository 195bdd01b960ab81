/** Large objects of every kind over a real OpenStack Swift: read whole, listed without their parts, never short. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { StorageError } from '../../src/core/errors.ts';
import type { SwiftSpec } from '../../src/drivers/spec.ts';
import { openSwiftDriver, type SwiftDriver } from '../../src/drivers/swift/swift-driver.ts';
import { type Swift, startSwift } from '../support/swift.ts';
import { SwiftContainer } from '../support/swift-container.ts';
import { makeTempFolder, type TempFolder } from '../support/temp.ts';
import { missingTools } from '../support/tools.ts';

const CTX = { signal: new AbortController().signal };
const PARTS = ['first part, ', 'second part, ', 'third part'] as const;
const WHOLE = PARTS.join('');
/** As OpenStack's own client names them. */
const CLIENT = `big/1700000000.123456/${WHOLE.length}/13/`;

/** Of tempauth v1, the real one. */
describe('a Swift with users of its own', { skip: missingTools('swift') }, () => {
  let folder: TempFolder;
  let swift: Swift;

  before(async () => {
    folder = await makeTempFolder('swift-users');
    swift = await startSwift({ directory: folder.path });
  });

  after(async () => {
    await swift?.stop();
    await folder?.remove();
  });

  const listAs = async (more: Partial<SwiftSpec['access']>): Promise<StorageError> => {
    const { authUrl, user, password } = swift;
    const storage: SwiftSpec = {
      kind: 'swift',
      container: 'nowhere',
      prefix: '',
      access: { authUrl, authVersion: 1, user, password, endpointType: 'public', ...more },
      skipsTlsVerify: false,
    };
    const driver = openSwiftDriver({ storage, engine: 'direct' });
    try {
      for await (const _ of driver.list(CTX, { prefix: '' })) assert.fail('the container is not there');
      assert.fail('a listing of nothing is refused');
    } catch (error) {
      assert.ok(error instanceof StorageError, String(error));
      assert.ok(error.hint);
      assert.doesNotMatch(`${error.message} ${error.hint}`, /wr0ng|AUTH_tk/);
      return error;
    } finally {
      await driver.close();
    }
  };

  it('refuses a wrong password, and a user that it does not know', async () => {
    for (const wrong of [{ password: 'wr0ng' }, { user: 'test:nobody' }]) {
      const { details, message } = await listAs(wrong);
      assert.deepEqual([details.kind, details.scope], ['denied', 'backend']);
      assert.match(message, /user or password are refused \(status 401\)/);
    }
  });

  it('takes the account from the tenant as well, and says that there is no such container', async () => {
    for (const right of [{}, { tenant: 'test', user: 'tester' }]) {
      assert.equal((await listAs(right)).details.kind, 'not-found');
    }
  });

  it('denies a user without rights on the container', async () => {
    const { details, hint } = await listAs({ user: 'test:reader', password: 'reading' });
    assert.equal(details.kind, 'denied');
    assert.match(hint ?? '', /read access to the container \(X-Container-Read/);
  });
});

describe('large objects in Swift', { skip: missingTools('swift') }, () => {
  let folder: TempFolder;
  let swift: Swift;
  let container: SwiftContainer;
  let segments: SwiftContainer;
  let driver: SwiftDriver;

  const put = async (where: SwiftContainer, name: string, body: string, headers = {}): Promise<void> => {
    const { status, text } = await where.request('PUT', `/${name}`, { body, headers });
    assert.equal(status, 201, text);
  };
  const dynamic = (where: SwiftContainer, prefix: string) => ({
    'x-object-manifest': `${where.name}/${prefix}`,
  });

  before(async () => {
    folder = await makeTempFolder('swift-large');
    swift = await startSwift({ directory: folder.path });
    container = await new SwiftContainer(swift, 'raw').create();
    segments = await new SwiftContainer(swift, 'raw_segments').create();
    for (const [at, part] of PARTS.entries()) {
      await put(segments, `${CLIENT}0000000${at}`, part);
      await put(segments, `static/${at}`, part);
      await put(container, `segments/abc/def/000000000000000${at + 1}`, part);
    }
    await put(container, 'a/dynamic', '', dynamic(container, 'segments/abc/def/'));
    await put(container, 'b/elsewhere', '', dynamic(segments, CLIENT));
    const list = PARTS.map((part, at) => ({
      path: `/${segments.name}/static/${at}`,
      etag: hash('md5', part, 'hex'),
      size_bytes: part.length,
    }));
    await put(container, 'c/static?multipart-manifest=put', JSON.stringify(list));
    await put(container, 'd/empty', '');
    const storage: SwiftSpec = {
      kind: 'swift',
      container: container.name,
      prefix: '',
      access: {
        authUrl: swift.authUrl,
        authVersion: 1,
        user: swift.user,
        password: swift.password,
        endpointType: 'public',
      },
      skipsTlsVerify: false,
    };
    driver = openSwiftDriver({ storage, engine: 'direct' });
  });

  after(async () => {
    await driver?.close();
    await swift?.stop();
    await folder?.remove();
  });

  const read = async (key: string, sizeBytes = WHOLE.length): Promise<string> => {
    const into = Buffer.alloc(sizeBytes);
    const { bytesRead, totalBytes } = await driver.read(CTX, key, into, { isWhole: true });
    assert.equal(totalBytes, sizeBytes);
    return into.toString('utf8', 0, bytesRead);
  };
  const isNotWhole = (why: RegExp) => (error: unknown) => {
    assert.ok(error instanceof StorageError);
    assert.match(error.message, why);
    // A listing that is late is asked again.
    return error.details.kind === 'corrupt' && error.details.isTransient && error.details.scope === 'object';
  };

  it('are listed without their parts, and those of unknown size say so', async () => {
    const listed: [string, number, boolean][] = [];
    for await (const { objects } of driver.list(CTX, { prefix: '' })) {
      for (const { key, sizeBytes, isSizeUnsure } of objects)
        listed.push([key, sizeBytes, isSizeUnsure === true]);
    }
    assert.deepEqual(listed, [
      ['a/dynamic', 0, true],
      ['b/elsewhere', 0, true],
      ['c/static', WHOLE.length, false],
      ['d/empty', 0, true],
    ]);
  });

  it('have their true size, and no MD5 of anything else', async () => {
    for (const key of ['a/dynamic', 'b/elsewhere', 'c/static']) {
      const { sizeBytes, md5, isSizeUnsure } = await driver.stat(CTX, key);
      assert.deepEqual([sizeBytes, md5, isSizeUnsure], [WHOLE.length, undefined, undefined], key);
    }
    assert.equal((await driver.stat(CTX, 'd/empty')).sizeBytes, 0);
  });

  it('are read whole and in ranges of one version', async () => {
    for (const key of ['a/dynamic', 'b/elsewhere', 'c/static']) {
      assert.equal(await read(key), WHOLE);
      const into = Buffer.alloc(8);
      const { version } = await driver.stat(CTX, key);
      await driver.read(CTX, key, into, { offset: 10, ...(version === undefined ? {} : { version }) });
      assert.equal(into.toString(), WHOLE.slice(10, 18));
      const other = driver.read(CTX, key, into, {
        offset: 10,
        version: '"0123456789abcdef0123456789abcdef"',
      });
      await assert.rejects(other, (error: unknown) => {
        return error instanceof StorageError && error.details.kind === 'precondition';
      });
    }
  });

  it('are no shorter objects where a part is gone', async () => {
    // Asked and read before: what was found whole then need not be so now.
    await segments.request('DELETE', `/${CLIENT}00000002`);
    await segments.request('DELETE', '/static/1');
    await container.request('DELETE', '/segments/abc/def/0000000000000002');
    await assert.rejects(driver.stat(CTX, 'a/dynamic'), isNotWhole(/part 2 of it is missing/));
    await assert.rejects(read('a/dynamic', WHOLE.length - 13), isNotWhole(/part 2 of it is missing/));
    await assert.rejects(driver.stat(CTX, 'b/elsewhere'), isNotWhole(/named as those of 35/));
    await assert.rejects(read('b/elsewhere', 25), isNotWhole(/named as those of 35/));
    await assert.rejects(read('c/static'), (error: unknown) => {
      return error instanceof StorageError && ['corrupt', 'unavailable'].includes(error.details.kind);
    });
  });

  it('are no empty objects where every part is gone', async () => {
    for (const at of [1, 3]) await container.request('DELETE', `/segments/abc/def/000000000000000${at}`);
    await assert.rejects(driver.stat(CTX, 'a/dynamic'), isNotWhole(/none of them is there/));
    await assert.rejects(read('a/dynamic', 0), isNotWhole(/none of them is there/));
  });
});
