import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HELP, parseOptions, UsageError } from '../../../bench/options.ts';
import { FULL, QUICK } from '../../../bench/plan/parameters.ts';

describe('options of the bench', () => {
  it('are the full sizes where nothing is said, and tiny with --quick', () => {
    const full = parseOptions([]);
    assert.equal(full.mode, 'run');
    assert.deepEqual(full.parameters, FULL);
    assert.deepEqual(full.sets, ['half', 'full']);
    assert.equal(full.withTrials, true);
    assert.equal(full.isTwice || full.hasMd5Etags, false);
    const flags = parseOptions(['--twice', '--md5-etags']);
    assert.equal(flags.isTwice && flags.hasMd5Etags, true);
    assert.deepEqual(parseOptions(['--quick']).parameters, QUICK);
  });

  it('override every parameter', () => {
    const { parameters } = parseOptions(
      (
        '--small 10 --medium 11 --medium-size 2MiB --large 12 --large-size 1GiB --mixed 13 --mixed-median 3MiB ' +
        '--mixed-sigma 1.5 --mixed-tail 0 --mixed-tail-size 2GiB --listing 14 --trial-size 20MiB --latency 5 ' +
        '--bandwidth 10MB/s --refused 2.5 --requests 90 --limited-seconds 15 --transfers 8 --repeat 7 --limit 9 --seed x --part-size 5MiB'
      ).split(' '),
    );
    assert.deepEqual(parameters, {
      small: 10,
      medium: 11,
      mediumBytes: 2 * 1024 ** 2,
      large: 12,
      largeBytes: 1024 ** 3,
      mixed: 13,
      mixedMedianBytes: 3 * 1024 ** 2,
      mixedSigma: 1.5,
      mixedTail: 0,
      mixedTailBytes: 2 * 1024 ** 3,
      listing: 14,
      trialBytes: 20 * 1024 ** 2,
      latencyMs: 5,
      bandwidthBytesPerSecond: 10e6,
      refusedShare: 0.025,
      limitPerSecond: 90,
      limitedSeconds: 15,
      transfers: 8,
      repeat: 7,
      limitSeconds: 9,
      seed: 'x',
      partBytes: 5 * 1024 ** 2,
    });
    assert.deepEqual(new Set(Object.keys(parameters)), new Set(Object.keys(FULL)));
  });

  it('choose cells, copiers and their programs', () => {
    const options = parseOptions([
      '--only',
      'small,large/*',
      '--copiers',
      'blobferry,rclone',
      '--peer',
      'rclone=/x=y',
    ]);
    assert.deepEqual(options.patterns, ['small', 'large/*']);
    assert.deepEqual(options.copiers, ['blobferry', 'rclone']);
    assert.deepEqual([...options.peers], [['rclone', '/x=y']]);
  });

  it('that are wrong are told in one sentence', () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [['--nonsense'], /nonsense/],
      [['--repeat', '0'], /--repeat cannot be 0/],
      [['--repeat', 'many'], /--repeat cannot be many/],
      [['--repeat', ''], /--repeat cannot be/],
      [['--large-size', '12 parsecs'], /--large-size 12 parsecs is not a size/],
      [['--bandwidth', 'fast'], /--bandwidth fast is not a rate/],
      [['--refused', '100'], /--refused cannot be 100/],
      [['--mixed-sigma', '9'], /--mixed-sigma cannot be 9/],
      [['--peer', 'rclone'], /NAME=FILE/],
      [['results.jsonl'], /stands alone/],
      [['--compare', 'a'], /two result files/],
    ];
    for (const [args, message] of wrong) {
      assert.throws(
        () => parseOptions(args),
        (error) => error instanceof UsageError && message.test(error.message),
        args.join(' '),
      );
    }
  });

  it('are all in the help', () => {
    for (const name of [
      'only',
      'quick',
      'report',
      'compare',
      'mixed-tail-size',
      'no-trials',
      'folder',
      'peer',
    ])
      assert.match(HELP, new RegExp(`--${name}\\b`));
  });
});
