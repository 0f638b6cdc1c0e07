/** Programs of other processors in steps: what the machine has for that, and what the kernel is told of it. */
export { elfKind, elfPattern, emulatedArchitectures, smallestProgram } from './elf.ts';
export { Emulation, type EmulationOptions } from './emulation.ts';
export { findEmulator } from './emulator.ts';
export { parseFormat, readFormats, type RegisteredFormat, takes } from './formats.ts';
export { foreignFailure } from './missing.ts';
