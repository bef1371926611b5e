#!/bin/sh
# Every row of the table of a training step, one process each; about forty minutes on two cores.
set -e
step() { "${PYTHON:-python}" -m tests.benchmarks.training_step "$@"; }
for precision in fp32 bf16; do
    for rows in "" --full; do
        step --size tiny --precision $precision $rows --memory
        step --size tiny --precision $precision $rows --vocabulary 8192 --peers hugging_face
        step --size mini --precision $precision $rows --peers hugging_face
        step --size small --sequences 16 --precision $precision $rows --peers hugging_face --memory
    done
    step --size small --sequences 16 --vocabulary 8192 --precision $precision --peers hugging_face
    step --size base --sequences 8 --precision $precision --peers hugging_face
    step --size base --sequences 2 --length 512 --full --precision $precision --peers hugging_face
done
# Without the switch of the hardware, and with the peer given all of ours.
for size in tiny mini small; do
    few=$([ $size = small ] && echo 16 || echo 32)
    step --size $size --sequences $few --products torch --peers hugging_face
    step --size $size --sequences $few --precision bf16 --dropout 0 --peer-precision bf16 --peer-products auto --peers hugging_face
done
step --size base --sequences 8 --precision bf16 --dropout 0 --peer-precision bf16 --peer-products auto --peers hugging_face
