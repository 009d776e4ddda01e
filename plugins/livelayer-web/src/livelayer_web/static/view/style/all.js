// @ts-check
/** Every sheet of a panel, in the order in which they are laid over each other. */

import { controls } from "./controls.js";
import { debug } from "./debug.js";
import { frame } from "./frame.js";
import { motion } from "./motion.js";
import { stage } from "./stage.js";
import { talk } from "./talk.js";
import { tokens } from "./tokens.js";

/** Shared by every avatar of the document. */
export const sheets = [tokens, frame, stage, controls, talk, debug, motion];
