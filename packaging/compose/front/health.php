<?php
// Says that PHP works here. Not the database: all fronts share it, and would all be taken out together.
header('Content-Type: text/plain');
echo "well\n";
