/** How the AWS SDK's clients reach their servers: as the direct engine does. */
import type { S3Client } from '@aws-sdk/client-s3';
import type { HttpProxy } from '../../transport/proxy.ts';
import { AgedHttpAgent, RoutedHttpsAgent } from '../../transport/routed-agent.ts';
import type { S3Spec } from '../spec.ts';
import { trustedCertificates } from './s3-address.ts';

/** @param verifies `skipverify` is said of the storage, not of the services that give out credentials. */
export function sdkHandlerOptions(spec: S3Spec, verifies: boolean) {
  const ca = trustedCertificates(spec);
  return {
    requestTimeout: 60_000,
    connectionTimeout: 10_000,
    httpAgent: new AgedHttpAgent(),
    httpsAgent: new RoutedHttpsAgent({
      tls: { verifies, ...(ca ? { ca } : {}) },
      proxies: spec.network?.proxies,
    }),
  };
}

/** What a signed request of the SDK consists of, as far as its way is concerned. */
interface WireRequest {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  headers: Record<string, string>;
}

/** Gives plain requests to a proxy, after they were signed: it wants the whole URL, and the Host field as it was. */
export function forwardThrough(client: S3Client, proxy: HttpProxy): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as WireRequest;
      const authority = request.headers['host'] ?? request.hostname;
      request.path = `http://${authority}${request.path}`;
      request.protocol = proxy.isTls ? 'https:' : 'http:';
      request.hostname = proxy.host;
      request.port = proxy.port;
      if (proxy.authorization !== undefined) request.headers['proxy-authorization'] = proxy.authorization;
      return next(args);
    },
    { step: 'deserialize', priority: 'low', name: 'forwardThroughProxy' },
  );
}
