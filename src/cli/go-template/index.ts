/** The template language of `--format`: Go's text/template, as docker, podman and skopeo take it. */
export { compileTemplate, type Template } from './evaluate.ts';
export { toJson } from './values.ts';
