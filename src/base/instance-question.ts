/** The subject of a question to the workers of an instance, which says what form it and its answer have. */
export type QuestionSubject = 'explain' | 'statistics' | 'tail';

/** The same, or of a question that the primary answers itself. */
export type InstanceSubject = QuestionSubject | 'load';
