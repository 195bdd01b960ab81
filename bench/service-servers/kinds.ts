/** The services that the bench has servers for beside S3. */
export const SERVICES = ['azure', 'gcs', 'swift'] as const;
export type ServiceKind = (typeof SERVICES)[number];
